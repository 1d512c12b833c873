package recipe

import (
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
)

// Mistakes of the program must not look like the user's.
func TestSchemaErrors(t *testing.T) {
	tests := []struct {
		cfg  any
		want string
	}{
		{nil, "not a pointer to a struct"},
		{config{}, "not a pointer to a struct"},
		{(*config)(nil), "not a pointer to a struct"},
		{&struct{ A int }{}, `A needs the tag recipe:"key"`},
		{&struct {
			A int `recipe:"A b"`
		}{}, `key "A b"`},
		{&struct {
			A int `recipe:"a"`
			B int `recipe:"a"`
		}{}, `key "a" is taken`},
		{&struct {
			A map[string]int `recipe:"a"`
		}{}, "type map[string]int is not supported"},
		{&struct {
			A *int `recipe:"a"`
		}{}, "type *int is not supported"},
		{&struct {
			A struct {
				B [][]int `recipe:"b"`
			} `recipe:"a"`
		}{}, "type [][]int is not supported"},
		{&struct {
			A int `recipe:"a" min:"0.5"`
		}{}, `tag min:"0.5" does not fit type int`},
		{&struct {
			A string `recipe:"a" max:"1"`
		}{}, `tag max:"1" does not fit type string`},
		{&struct {
			A amount `recipe:"a" above:"1"`
		}{}, `tag above:"1" does not fit type recipe.amount`},
		{&struct {
			A int `recipe:"a" oneof:"1 2"`
		}{}, "tag oneof does not fit type int"},
		{&struct {
			A string `recipe:"a" oneof:"@"`
		}{}, `tag oneof:"@" needs a method Choices`},
		{&struct {
			A int `recipe:"a" len:"2"`
		}{}, `tag len:"2" does not fit type int`},
		{&struct {
			A []int `recipe:"a" len:"few"`
		}{}, `tag len:"few" does not fit type []int`},
		{&struct {
			Base string `recipe:"base"`
		}{}, `key "base" is taken`},
		{&struct {
			A int `recipe:"a" default:"0" min:"1"`
		}{}, "default of a: a is 0: must be a whole number at least 1"},
	}
	for _, test := range tests {
		err := Defaults(test.cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) || fault.Is(err) {
			t.Errorf("%T: %v, want an ordinary error with %q", test.cfg, err, test.want)
		}
	}
}

// chooser knows its choices when it is asked.
type chooser struct {
	Name  string   `recipe:"name" default:"a" oneof:"@"`
	Names []string `recipe:"names" oneof:"@" len:"3"`
	Seed  int      `recipe:"seed" unbounded:"any will do"`
	Open  []int    `recipe:"open" min:"1"`
	Floor float64  `recipe:"floor" max:"1"`
	Both  uint8    `recipe:"both" max:"9"`
}

var choices = []string{"a", "b"}

func (chooser) Choices(key string) []string { return append(choices, "only-in-"+key) }

func TestChoicesOfTheSection(t *testing.T) {
	var c struct {
		In chooser `recipe:"in"`
	}
	if err := Defaults(&c); err != nil {
		t.Fatal(err)
	}
	checkFault(t, "in.name=c", Set(&c, "in.name=c"), "in.name is c: must be one of a, b, only-in-name")
	checkFault(t, "in.names=b,only-in-name", Set(&c, "in.names=b,only-in-name"), "in.names[1] is only-in-name: must be one of a, b, only-in-names")
	checkFault(t, "in.names=a,a,a,b", Set(&c, "in.names=a,a,a,b"), "in.names has 4 values: must have at most 3")
	choices = append(choices, "c")
	defer func() { choices = choices[:2] }()
	if err := Set(&c, "in.name=c"); err != nil || c.In.Name != "c" {
		t.Errorf("a choice that came later: %v", err)
	}
	c.In.Names = make([]string, 4)
	checkFault(t, "four names", Validate(&c), "in.names has 4 values: must have at most 3")
	open, err := Unbounded(&c)
	if err != nil || !slices.Equal(open, []string{"in.open", "in.floor"}) {
		t.Errorf("without bounds: %v, %v", open, err)
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"lr", "momentum", "weight_decay", "set"}
	tests := []struct{ name, want string }{
		{"l", "lr"}, {"momentun", "momentum"}, {"weigth_decay", "weight_decay"}, {"weight-decay", "weight_decay"},
		{"", ""}, {"dir", ""}, {strings.Repeat("lr", 1<<19), ""},
	}
	for _, test := range tests {
		if got := nearest(test.name, candidates); got != test.want {
			t.Errorf("nearest(%.20q) = %q, want %q", test.name, got, test.want)
		}
	}
}
