package recipe_test

import (
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/recipe"
)

// What a program has put together itself is written down, too, by names that no recipe may have.
func TestDescribe(t *testing.T) {
	type config struct {
		Name string `recipe:"name" default:"a" oneof:"a b" doc:"one of two"`
	}
	for name, allowed := range map[string]bool{"b": true, "own": false} {
		c := config{Name: name}
		text, err := recipe.Describe(&c)
		if want := "name: " + name + "\n"; err != nil || string(text) != want {
			t.Errorf("%s is described as %q, error %v", name, text, err)
		}
		if text, err := recipe.Encode(&c); (err == nil) != allowed || err != nil && !fault.Is(err) && !strings.Contains(err.Error(), "own") {
			t.Errorf("%s is encoded as %q, error %v; allowed: %t", name, text, err, allowed)
		}
	}
}
