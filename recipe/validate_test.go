package recipe

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValidate(t *testing.T) {
	tests := []struct {
		change func(*config)
		want   string
	}{
		{func(c *config) { c.Optim.MinLR = 1 }, "optim.min_lr is 1: must be at most lr"},
		{func(c *config) { c.Name = "plain" }, "a plain error"},
		{func(c *config) { c.Name = "deep" }, "data.set is mnist: must be cifar10 when name is deep"},
		{func(c *config) { c.Name = "\xff" }, `name is "\xff": must be UTF-8 text`},
		{func(c *config) { c.Optim.LR = math.Inf(1) }, "optim.lr is +Inf: must be a number above 0 and at most 10"},
		{func(c *config) { c.Optim.MinLR = math.NaN() }, "optim.min_lr is NaN: must be a number"},
		{func(c *config) { c.Data.Mean = []float32{0, -1} },
			"data.mean[1] is -1: must be a number at least 0 and at most 1"},
	}
	if err := Validate(defaults(t)); err != nil {
		t.Error(err)
	}
	for _, test := range tests {
		c := defaults(t)
		test.change(c)
		checkFault(t, test.want, Validate(c), test.want)
	}
}

func TestInvalidAlone(t *testing.T) {
	checkFault(t, "without Validate", Invalid("dir", "a\nb", "one line"), `dir is "a\nb": must be one line`)
}

func TestKeys(t *testing.T) {
	keys, err := Keys(new(config))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range keys {
		got = append(got, strings.Join([]string{k.Path, k.Type, k.Default, k.Allowed, k.Doc}, "|"))
	}
	want := []string{
		"name|string||UTF-8 text|what the run is called",
		"seed|uint|1|a whole number at least 0|of all randomness",
		"threads|int|0|a whole number at least 0|",
		"data.set|string|mnist|one of mnist, cifar10|data set",
		"data.shuffle|bool|true|true or false|",
		"data.validation|text|0|a fraction below 1 or a count|",
		"data.mean|list of float||a list, each a number at least 0 and at most 1|",
		"data.files|list of string||a list, each UTF-8 text|",
		"optim.lr|float|0.1|a number above 0 and at most 10|learning rate",
		"optim.min_lr|float|0|a number|",
		"optim.milestones|list of int|[100, 150]|a list, each a whole number at least 1|",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
