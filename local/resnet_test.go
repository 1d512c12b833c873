package local_test

import (
	"fmt"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// The term's gradient in float32 against a double backward in float64, for every published cut of ResNet-32: untrained,
// and after every module was trained to a loss of 1e-2 and less.
func TestTermGradientOnResNet32(t *testing.T) {
	defer torch.Pin()()
	for _, k := range []int{2, 3, 16} {
		t.Run(fmt.Sprintf("K=%d", k), func(t *testing.T) {
			if testing.Short() && k == 16 {
				t.Skip("short")
			}
			o := local.Options{Name: "sgr", Modules: k, Lambda: 1, Reduction: "batch", Normalize: true, Every: 1}
			net := zoo.Options{Name: "resnet32", Depth: 32, Width: 16}
			o.Gradient = "directional"
			fast := chain(t, net, o, torch.Float32)
			o.Gradient = "double"
			exact := chain(t, net, o, torch.Float64)
			compareTerms(t, "untrained", fast, exact, 0.9999, 1e-3)
			memorise(t, fast, 1e-2)
			compareTerms(t, "trained", fast, exact, 0.999, 2e-2)
		})
	}
}

// memorise trains on one batch, by the modules' own losses, until each is at most loss.
func memorise(t *testing.T, c *local.Chain, loss float64) {
	t.Helper()
	own := local.NewChain(c.Modules(), local.Rule{Objective: local.Classify{}, Term: local.None{}, Credit: local.Autograd{}}, local.Together{}, c.DType)
	for step := range 400 {
		x, y := randomBatch(c.DType, 1)
		left, err := own.Step(x, y, local.Tick{Step: step, LR: 0.05})
		if err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		for _, s := range left[0].Stats {
			worst = max(worst, s.Loss)
		}
		if worst <= loss {
			return
		}
	}
	t.Fatalf("a module is above a loss of %g after 400 steps", loss)
}

// compareTerms gives exact the weights of fast and compares the term's gradients of their modules.
func compareTerms(t *testing.T, state string, fast, exact *local.Chain, cos, norm float64) {
	t.Helper()
	for k, m := range fast.Modules() {
		for i, p := range m.Params {
			exact.Modules()[k].Params[i].Value.Copy(p.Value)
		}
	}
	got, loss := terms(t, fast)
	want, _ := terms(t, exact)
	for k := range got {
		c, ratio := cosine(got[k], want[k])
		t.Logf("%s, module %d at loss %.2g: 1 − cosine %.1e, norm off by %.1e", state, k+2, loss[k], 1-c, ratio-1)
		if c < cos || ratio < 1-norm || ratio > 1+norm {
			t.Errorf("%s, module %d: cosine %.6f and norm ratio %.5f, want at least %g and 1 ± %g", state, k+2, c, ratio, cos, norm)
		}
	}
}

// terms returns the gradient of the term alone for modules 2 … K, and their losses.
func terms(t *testing.T, c *local.Chain) (gradients [][]float64, losses []float64) {
	t.Helper()
	x, y := randomBatch(c.DType, 1)
	in := local.Signal{X: x, Y: y}
	for _, m := range c.Modules() {
		var both []float64
		var loss float64
		if m.Index > 1 {
			both, loss = gradient(c, c.Rule, m, in)
			plain, _ := gradient(c, local.Rule{Objective: c.Rule.Objective, Term: local.None{}, Credit: c.Rule.Credit}, m, in)
			gradients, losses = append(gradients, minus(both, plain)), append(losses, loss)
		}
		in, _ = c.Rule.Train(m, in, c.DType, 0, 0)
	}
	return gradients, losses
}

// gradient evaluates a rule's gradient of module m on a signal that stays the caller's.
func gradient(c *local.Chain, rule local.Rule, m *local.Module, in local.Signal) (theta []float64, loss float64) {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	w := &local.Work{
		Rule: &rule, Module: m, Scope: s, DType: c.DType,
		In: local.Signal{X: s.Alias(in.X), Y: s.Alias(in.Y), Delta: s.Alias(in.Delta)},
	}
	g, _ := rule.Term.Gradients(w)
	for _, t := range g.Theta {
		theta = append(theta, t.Float64s()...)
	}
	return theta, g.Loss
}
