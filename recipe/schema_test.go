package recipe

import (
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
