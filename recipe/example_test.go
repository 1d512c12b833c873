package recipe_test

import (
	"fmt"

	"github.com/locus-learn/locus/recipe"
)

type schedule struct {
	Name   string `recipe:"name" default:"cosine" oneof:"cosine constant" doc:"course of the learning rate"`
	Epochs int    `recipe:"epochs" default:"1" min:"1" doc:"passes over the training set"`
	Warmup int    `recipe:"warmup" default:"0" min:"0" doc:"epochs of linear rise"`
}

func (s schedule) Validate() error {
	if s.Warmup >= s.Epochs {
		return recipe.Invalid("warmup", s.Warmup, "less than epochs")
	}
	return nil
}

type run struct {
	Seed     uint64   `recipe:"seed" default:"1" doc:"of all randomness"`
	Schedule schedule `recipe:"schedule"`
}

func Example() {
	var r run
	for _, step := range []func() error{
		func() error { return recipe.Defaults(&r) },
		func() error { return recipe.Decode("my.yaml", []byte("schedule: {epochs: 200}"), &r) },
		func() error { return recipe.Set(&r, "schedule.warmup=5") },
		func() error { return recipe.Validate(&r) },
	} {
		if err := step(); err != nil {
			fmt.Println(err)
		}
	}
	doc, _ := recipe.Encode(&r)
	fmt.Print(string(doc))
	r.Schedule.Warmup = 200
	fmt.Println(recipe.Validate(&r))
	// Output:
	// seed: 1
	// schedule:
	//   name: cosine
	//   epochs: 200
	//   warmup: 5
	// schedule.warmup is 200: must be less than epochs
}
