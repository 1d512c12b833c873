package train

import (
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/recipe"
)

// Every embedded recipe resolves against the program's own options and builds its model.
func TestEmbeddedRecipesBuild(t *testing.T) {
	for _, e := range recipe.Names() {
		c, err := Load(e.Name, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		if c.Name != e.Name {
			t.Errorf("%s is named %q", e.Name, c.Name)
		}
		m, err := NewModel(c, Images{Shape: nn.Shape{C: 3, H: 32, W: 32}, Classes: 10}, true)
		if err != nil {
			t.Error(err)
			continue
		}
		method, _, err := local.Lookup(c.Method)
		if err != nil {
			t.Fatal(err)
		}
		if k := len(m.Learner.Modules()); k != c.Method.Modules && method.Cut != local.Everywhere {
			t.Errorf("%s has %d modules, its recipe asks for %d", e.Name, k, c.Method.Modules)
		}
		m.Free()
	}
}
