package recipe

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/locus-learn/locus/internal/fault"
)

// config has a key of every supported type.
type config struct {
	Name    string   `recipe:"name" doc:"what the run is called"`
	Seed    uint64   `recipe:"seed" default:"1" doc:"of all randomness"`
	Threads int8     `recipe:"threads" default:"0" min:"0"`
	Data    data     `recipe:"data"`
	Optim   optim    `recipe:"optim"`
	Empty   struct{} `recipe:"empty"`
	Handle  func()   `recipe:"-"`
	private int
}

type data struct {
	Set        set       `recipe:"set" default:"mnist" oneof:"mnist cifar10" doc:"data set"`
	Shuffle    bool      `recipe:"shuffle" default:"true"`
	Validation amount    `recipe:"validation" default:"0" allowed:"a fraction below 1 or a count"`
	Mean       []float32 `recipe:"mean" min:"0" max:"1"`
	Files      []string  `recipe:"files"`
}

type optim struct {
	LR         float64 `recipe:"lr" default:"0.1" above:"0" max:"10" doc:"learning rate"`
	MinLR      float64 `recipe:"min_lr" default:"0"`
	Milestones []int   `recipe:"milestones" default:"[100, 150]" min:"1"`
}

type set string

// amount is a fraction or a count, or several counts; it writes itself as it was read.
type amount struct{ text string }

func (a amount) MarshalText() ([]byte, error) { return []byte(a.text), nil }

func (a *amount) UnmarshalText(text []byte) error {
	if strings.Contains(string(text), "x") {
		return errors.New("must be a fraction\nor a count")
	}
	a.text = string(text)
	return nil
}

func (o optim) Validate() error {
	if o.MinLR > o.LR {
		return Invalid("min_lr", o.MinLR, "at most lr")
	}
	return nil
}

func (c *config) Validate() error {
	switch c.Name {
	case "plain":
		return errors.New("a plain\nerror")
	case "deep":
		return fmt.Errorf("because: %w", Invalid("data.set", string(c.Data.Set), "cifar10 when name is deep"))
	}
	return nil
}

func defaults(t testing.TB) *config {
	t.Helper()
	var c config
	if err := Defaults(&c); err != nil {
		t.Fatal(err)
	}
	return &c
}

var compareConfigs = cmp.AllowUnexported(config{}, amount{})

func TestDefaults(t *testing.T) {
	got := config{Name: "left over", private: 7}
	if err := Defaults(&got); err != nil {
		t.Fatal(err)
	}
	want := config{Seed: 1, private: 7,
		Data:  data{Set: "mnist", Shuffle: true, Validation: amount{"0"}},
		Optim: optim{LR: 0.1, Milestones: []int{100, 150}}}
	if diff := cmp.Diff(want, got, compareConfigs); diff != "" {
		t.Error(diff)
	}
}

func TestSet(t *testing.T) {
	tests := []struct {
		assignment string
		want       func(*config)
	}{
		{"name=null", func(c *config) { c.Name = "null" }},
		{"name= a=b ", func(c *config) { c.Name = " a=b " }},
		{"seed=18446744073709551615", func(c *config) { c.Seed = math.MaxUint64 }},
		{"seed=1e4", func(c *config) { c.Seed = 10000 }},
		{" threads = 2.0", func(c *config) { c.Threads = 2 }},
		{"data.set=cifar10", func(c *config) { c.Data.Set = "cifar10" }},
		{"data.shuffle=False", func(c *config) { c.Data.Shuffle = false }},
		{"data.validation=0.1", func(c *config) { c.Data.Validation.text = "0.1" }},
		{"data.validation=[1, 2]", func(c *config) { c.Data.Validation.text = "1,2" }},
		{"data.mean=0.5, 1e-1", func(c *config) { c.Data.Mean = []float32{0.5, 0.1} }},
		{`data.files=["a,b", c]`, func(c *config) { c.Data.Files = []string{"a,b", "c"} }},
		{"optim.lr=5e-4", func(c *config) { c.Optim.LR = 5e-4 }},
		{"optim.milestones=", func(c *config) { c.Optim.Milestones = nil }},
		{"optim.milestones=[]", func(c *config) { c.Optim.Milestones = nil }},
		{"optim.milestones=7", func(c *config) { c.Optim.Milestones = []int{7} }},
	}
	for _, test := range tests {
		got, want := defaults(t), defaults(t)
		if err := Set(got, test.assignment); err != nil {
			t.Errorf("%s: %v", test.assignment, err)
		}
		test.want(want)
		if diff := cmp.Diff(want, got, compareConfigs); diff != "" {
			t.Errorf("%s: %s", test.assignment, diff)
		}
	}
}

func TestSetFaults(t *testing.T) {
	tests := []struct{ assignment, want string }{
		{"seed", "assignment seed has no =: must be key=value, such as seed=2"},
		{"sed=1", "unknown key sed: did you mean seed?"},
		{"lr=1", "unknown key lr: did you mean optim.lr?"},
		{"optim.foo=1", "unknown key optim.foo: the keys of optim are optim.lr, optim.min_lr, optim.milestones"},
		{"seed.x=1", "unknown key seed.x: seed is a value, not a section"},
		{"=1", `unknown key "": the keys of the recipe are name, seed, threads, data, optim, empty`},
		{"optim=1", "optim is a section: set one of its keys: optim.lr, optim.min_lr, optim.milestones"},
		{"seed=-1", "seed is -1: must be a whole number at least 0"},
		{"seed=1.5", "seed is 1.5: must be a whole number at least 0"},
		{"seed=18446744073709551616", "seed is 18446744073709551616: must fit in 64 bits"},
		{"threads=128", "threads is 128: must fit in 8 bits"},
		{"threads=1e999999999", "threads is 1e999999999: must be a whole number at least 0"},
		{"name=\xff", `name is "\xff": must be UTF-8 text`},
		{"data.set=svhn", "data.set is svhn: must be one of mnist, cifar10"},
		{"data.shuffle=yes", "data.shuffle is yes: must be true or false"},
		{"data.mean=0.5,2", "data.mean[1] is 2: must be a number at least 0 and at most 1"},
		{"data.validation=x", "data.validation is x: must be a fraction or a count"},
		{"data.validation=[[1]]", "data.validation is a list of 1: must be a fraction below 1 or a count"},
		{"optim.lr=0", "optim.lr is 0: must be a number above 0 and at most 10"},
		{"optim.lr=NaN", "optim.lr is NaN: must be a number above 0 and at most 10"},
		{"optim.lr=a b", `optim.lr is "a b": must be a number above 0 and at most 10`},
		{"optim.min_lr=1e999", "optim.min_lr is 1e999: must fit in 64 bits"},
		{"optim.milestones=[1, [2]]", "optim.milestones[1] is a list of 1: must be a whole number at least 1"},
		{"optim.milestones=[1", "optim.milestones is [1: not valid YAML: did not find expected ',' or ']'"},
	}
	for _, test := range tests {
		c := defaults(t)
		checkFault(t, test.assignment, Set(c, test.assignment), test.want)
		if diff := cmp.Diff(defaults(t), c, compareConfigs); diff != "" {
			t.Errorf("%s: changed in spite of the fault: %s", test.assignment, diff)
		}
	}
}

func checkFault(t *testing.T, what string, err error, want string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%q: no fault, want %q", what, want)
	case err.Error() != want || !fault.Is(err):
		t.Errorf("%q:\n got %s (fault: %t)\nwant %s", what, err, fault.Is(err), want)
	}
}

// A program may leave out what has no meaning as zero; other zeros and other values are left alone, right or wrong.
func TestComplete(t *testing.T) {
	c := config{Seed: 0, Threads: -3, Optim: optim{MinLR: 0}}
	if err := Complete(&c); err != nil {
		t.Fatal(err)
	}
	if c.Data.Set != "mnist" || c.Optim.LR != 0.1 {
		t.Errorf("set %q, rate %g: want the defaults", c.Data.Set, c.Optim.LR)
	}
	if c.Seed != 0 || c.Threads != -3 || c.Data.Shuffle || c.Optim.Milestones != nil {
		t.Errorf("%+v: what means something was changed", c)
	}
}
