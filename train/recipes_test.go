package train

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Every embedded recipe resolves against the program's own options, builds its model and takes a step. Large networks
// and projectors do so at an eighth of their width; automatic cuts, which take their time to find, are tried in plan.
func TestEmbeddedRecipesTrain(t *testing.T) {
	large := map[string]int{} // widths
	for _, m := range zoo.Models() {
		if m.Side == 224 || strings.HasPrefix(m.Name, "vgg") {
			large[m.Name] = m.Width
		}
	}
	for _, e := range recipe.Names() {
		c, err := Load(e.Name, []string{"threads=1"})
		if err != nil {
			t.Error(err)
			continue
		}
		if c.Model.Width == 0 {
			c.Model.Width = large[c.Model.Name] / 8
		}
		if c.Head.Widths[0] == 2048 { // published projectors have 150 million weights each
			c.Head.Widths = []int{32, 64, 64, 64}
		}
		if _, auto := c.Method.Auto(); auto {
			c.Method.Cuts = nil
		}
		if c.Name != e.Name {
			t.Errorf("%s is named %q", e.Name, c.Name)
		}
		m, err := NewModel(c, model.Input{Shape: nn.Shape{C: 3, H: 32, W: 32}, Classes: 10}, false)
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
		}
		how, _, err := method.Lookup(c.Method)
		if err != nil {
			t.Fatal(err)
		}
		if k := len(m.Learner.Modules()); k != c.Method.Modules && how.Cut != method.Everywhere {
			t.Errorf("%s has %d modules, its recipe asks for %d", e.Name, k, c.Method.Modules)
		}
		if err := step(m); err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
		m.Free()
	}
}

// step trains on four images of two classes, in as many views as the model asks for.
func step(m *Model) error {
	s := torch.NewScope(torch.NoGrad)
	x := s.Full(m.DType, 0, 4*int64(max(1, m.Views())), 3, 32, 32)
	x.Uniform(0, 1, 1)
	y := s.FromInts([]int64{0, 1, 0, 1}).Keep()
	left, err := m.Learner.Step(x.Keep(), y, local.Tick{LR: 0.01})
	if err == nil && math.IsNaN(lastLoss(left[0].Stats)) {
		err = errors.New("no module trained")
	}
	return err
}
