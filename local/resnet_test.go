package local_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// The term's gradient against a double backward in float64 on the same signals, for every published cut of ResNet-32:
// untrained, and after every module was trained to a loss of 1e-2 and of 1e-3.
func TestTermGradientOnResNet32(t *testing.T) {
	defer torch.Pin()()
	for _, c := range []struct {
		way            string
		dtype          torch.DType
		cuts           []int
		early, trained bounds
	}{
		{"directional", torch.Float32, []int{2, 3, 16}, bounds{0.9999, 1e-3}, bounds{0.999, 3e-2}},
		{"directional", torch.BFloat16, []int{3, 16}, bounds{0.9999, 1e-3}, bounds{0.999, 3e-2}},
		{"tangent", torch.Float32, []int{3}, bounds{1 - 1e-6, 1e-4}, bounds{1 - 1e-6, 1e-4}},
	} {
		for _, k := range c.cuts {
			t.Run(fmt.Sprintf("K=%d %s %v", k, c.way, c.dtype), func(t *testing.T) {
				if testing.Short() && k != 3 {
					t.Skip("short")
				}
				o := method.Options{Name: "sgr", Modules: k, Lambda: 1, Reduction: "batch", Normalize: true, Every: 1}
				net := zoo.Options{Name: "resnet32", Depth: 32, Width: 16}
				o.Gradient = c.way
				fast := chain(t, net, o, c.dtype)
				o.Gradient = "double"
				exact := chain(t, net, o, torch.Float64)
				compareAsTrained(t, fast, exact, noise, c.early, c.trained, 1e-2, 1e-3)
			})
		}
	}
}

// The same in bfloat16 by a tangent, whose error is that of bfloat16 itself. It is larger on noise and on maps of few
// pixels, hence images as smooth as photographs are.
func TestTermGradientInBFloat16(t *testing.T) {
	defer torch.Pin()()
	old := images
	defer func() { images = old }()
	for _, c := range []struct {
		k, side int
		losses  []float64
	}{{3, 32, []float64{1e-2, 1e-3}}, {16, 16, []float64{1e-2}}} { // light modules do not get to 1e-3
		t.Run(fmt.Sprintf("K=%d", c.k), func(t *testing.T) {
			if testing.Short() {
				t.Skip("short")
			}
			images = nn.Shape{C: 3, H: c.side, W: c.side}
			o := method.Options{Name: "sgr", Modules: c.k, Lambda: 1, Reduction: "batch", Normalize: true, Every: 1, Gradient: "tangent"}
			net := zoo.Options{Name: "resnet32", Depth: 32, Width: 16}
			fast := chain(t, net, o, torch.BFloat16)
			o.Gradient = "double"
			exact := chain(t, net, o, torch.Float64)
			compareAsTrained(t, fast, exact, smooth, bounds{0.95, 0.1}, bounds{0.99, 0.1}, c.losses...)
		})
	}
}

// source returns the batch that modules are trained and compared on. The caller owns it.
type source func(dtype torch.DType) (x, y torch.Tensor)

// noise is a source of images without structure.
func noise(dtype torch.DType) (x, y torch.Tensor) { return randomBatch(dtype, 1) }

// smooth is a source of images whose pixels resemble their neighbours.
func smooth(dtype torch.DType) (x, y torch.Tensor) {
	const n = 32
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	coarse, fine := s.Full(torch.Float32, 0, n, 3, 4, 4), s.Full(torch.Float32, 0, n, 3, int64(images.H), int64(images.W))
	coarse.Normal(0, 1, 1)
	fine.Normal(0, 0.1, 2)
	x = s.Add(s.UpsampleBilinear(coarse, int64(images.H), int64(images.W)), fine, 1)
	labels := make([]int64, n)
	for i := range labels {
		labels[i] = int64(i % classes)
	}
	return s.Cast(s.ChannelsLast(x), dtype).Keep(), s.FromInts(labels).Keep()
}

// compareAsTrained compares the term's gradients of two chains untrained, and when the modules of fast have been trained on
// the batch that draw returns to each of the losses.
func compareAsTrained(t *testing.T, fast, exact *local.Chain, draw source, early, trained bounds, losses ...float64) {
	t.Helper()
	compareTerms(t, "untrained", fast, exact, draw, early)
	for _, loss := range losses {
		memorise(t, fast, draw, loss)
		compareTerms(t, fmt.Sprintf("trained to %g", loss), fast, exact, draw, trained)
	}
}

// memorise trains on one batch, by the modules' own losses, until those of modules 2 … K are at most loss.
func memorise(t *testing.T, c *local.Chain, draw source, loss float64) {
	t.Helper()
	own := local.NewChain(c.Modules(), local.Rule{Objective: local.Classify{}, Term: local.None{}, Credit: local.Autograd{}}, local.Together{}, c.DType)
	for step := range 3000 {
		x, y := draw(c.DType)
		left, err := own.Step(x, y, local.Tick{Step: step, LR: 0.05})
		if err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		for _, s := range left[0].Stats[1:] {
			worst = max(worst, s.Loss)
		}
		if worst <= loss {
			return
		}
	}
	t.Fatalf("a module is above a loss of %g after 3000 steps", loss)
}

// bounds of a gradient: the least cosine with the right one, and the most that its norm may be off by.
type bounds struct{ cos, norm float64 }

// compareTerms gives exact the weights of fast and compares the term's gradients of modules 2 … K on the signals of fast.
func compareTerms(t *testing.T, state string, fast, exact *local.Chain, draw source, want bounds) {
	t.Helper()
	worst, longest := 1.0, 0.0
	x, y := draw(fast.DType)
	in := local.Signal{X: x, Y: y}
	for k, m := range fast.Modules() {
		twin := exact.Modules()[k]
		for i, p := range m.Params {
			twin.Params[i].Value.Copy(p.Value)
		}
		if m.Index > 1 {
			got := added(fast, m, in)
			c, ratio := cosine(got, added(exact, twin, in))
			worst, longest = min(worst, c), max(longest, math.Abs(ratio-1))
			if !(c >= want.cos && math.Abs(ratio-1) <= want.norm) {
				t.Errorf("%s, module %d: cosine %.6f and norm ratio %.5f, want at least %g and 1 ± %g", state, m.Index, c, ratio, want.cos, want.norm)
			}
		}
		in, _, _ = fast.Rule.Train(m, in, fast.DType, local.Tick{})
	}
	t.Logf("%s: 1 − cosine at most %.1e, norm off by at most %.1e", state, 1-worst, longest)
}

// added returns the gradient of the term alone of module m on a signal that stays the caller's: what c's rule finds,
// less the module's own gradient in a type that is wide enough for the difference.
func added(c *local.Chain, m *local.Module, in local.Signal) []float64 {
	wide := c.DType
	if term := c.Rule.Term.(*local.Reconcile); wide == torch.BFloat16 && term.Gradient == local.Directional {
		wide = torch.Float32
	}
	own := c.Rule
	own.Term = local.None{}
	return minus(gradient(c.Rule, m, in, c.DType), gradient(own, m, in, wide))
}

// gradient evaluates a rule's gradient of module m on a signal, cast to dtype, that stays the caller's.
func gradient(rule local.Rule, m *local.Module, in local.Signal, dtype torch.DType) (theta []float64) {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	w := &local.Work{
		Rule: &rule, Module: m, Scope: s, DType: dtype,
		In: local.Signal{X: s.Detach(s.Cast(in.X, dtype)), Y: s.Alias(in.Y), Delta: s.Detach(s.Cast(in.Delta, dtype))},
	}
	g, _ := rule.Term.Gradients(w)
	for _, t := range g.Theta {
		theta = append(theta, t.Float64s()...)
	}
	return theta
}
