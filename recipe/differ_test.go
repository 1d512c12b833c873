package recipe_test

import (
	"slices"
	"testing"

	"github.com/locus-learn/locus/recipe"
)

func TestDiffer(t *testing.T) {
	type inner struct {
		LR    float64 `recipe:"lr" default:"0.1"`
		Betas []int   `recipe:"betas" default:"1,2"`
	}
	type config struct {
		Name  string `recipe:"name" default:"a"`
		Optim inner  `recipe:"optim"`
	}
	a := config{Name: "a", Optim: inner{0.1, []int{1, 2}}}
	for _, c := range []struct {
		b    config
		want []recipe.Difference
	}{
		{config{"a", inner{0.1, []int{1, 2}}}, nil},
		{config{"b", inner{0.1, []int{1, 2}}}, []recipe.Difference{{"name", "a", "b"}}},
		{config{"a", inner{0.2, []int{1, 2}}}, []recipe.Difference{{"optim.lr", "0.1", "0.2"}}},
		{config{"b", inner{0.1, []int{2, 1}}}, []recipe.Difference{{"name", "a", "b"}, {"optim.betas", "[1, 2]", "[2, 1]"}}},
		{config{"a", inner{0.1, nil}}, []recipe.Difference{{"optim.betas", "[1, 2]", "[]"}}},
	} {
		got, err := recipe.Differ(&a, &c.b)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, %v; want %v", c.b, got, err, c.want)
		}
	}
	var other struct {
		X int `recipe:"x" default:"1"`
	}
	if _, err := recipe.Differ(&a, &other); err == nil {
		t.Error("configurations of two types are compared")
	}
}
