package local_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// bench is one module with the signal that a neighbour would hand it.
type bench struct {
	*local.Module
	in    local.Signal
	s     *torch.Scope
	dtype torch.DType
}

func newBench(t *testing.T, s *torch.Scope, dtype torch.DType, body, head nn.Layer) *bench {
	t.Helper()
	m := local.NewModule(2, true, []nn.Block{{Name: "body", Layer: body}}, head, nil, sgd)
	t.Cleanup(m.Free)
	for _, p := range m.Params {
		p.Convert(dtype)
	}
	m.Refresh(sgd)
	x, y := randomBatch(dtype, 1)
	r, labels := randomBatch(dtype, 2)
	labels.Free()
	torch.ForeachScale([]torch.Tensor{r}, 0.01) // about the size of the module's own δ
	return &bench{m, local.Signal{X: s.Adopt(x), Y: s.Adopt(y), Delta: s.Adopt(r)}, s, dtype}
}

// gradients evaluates a term once, at the parameters as they are.
func (b *bench) gradients(term local.Term) ([]float64, local.Agreement) {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	rule := &local.Rule{Objective: local.Classify{}, Term: term, Credit: local.Autograd{}}
	in := local.Signal{X: s.Clone(b.in.X), Y: s.Clone(b.in.Y), Delta: s.Clone(b.in.Delta)}
	g, a := term.Gradients(&local.Work{Rule: rule, Module: b.Module, In: in, Scope: s, DType: b.dtype})
	var flat []float64
	for _, theta := range g.Theta {
		flat = append(flat, theta.Float64s()...)
	}
	return flat, a
}

// added returns what a term adds to the gradient of the module's own loss.
func (b *bench) added(term local.Reconcile) []float64 {
	own, _ := b.gradients(local.None{})
	both, _ := b.gradients(&term)
	return minus(both, own)
}

// along returns the central difference of S at the parameters along u.
func (b *bench) along(u []torch.Tensor, term local.Reconcile) float64 {
	const h = 1e-5
	term.Lambda = 0 // S is measured, nothing is added
	at := func(step float64) float64 {
		torch.ForeachAdd(b.Theta(), u, step)
		_, a := b.gradients(&term)
		torch.ForeachAdd(b.Theta(), u, -step)
		return a.SGR.Wait()
	}
	return (at(h) - at(-h)) / (2 * h)
}

// direction draws random tensors like the parameters, and the same as one vector.
func (b *bench) direction(seed uint64) (u []torch.Tensor, flat []float64) {
	for i, theta := range b.Theta() {
		z := b.s.ZerosLike(theta)
		z.Normal(0, 1, 100*seed+uint64(i))
		u = append(u, z)
		flat = append(flat, z.Float64s()...)
	}
	return u, flat
}

// The gradient that a term adds is the derivative of λS: no formula of the program is on the other side.
func TestTermGradientIsTheDerivativeOfS(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	i := nn.Init{Seed: 3, Device: torch.CPU}
	b := newBench(t, s, torch.Float64, nn.Sequential{ // smooth: nothing is frozen
		nn.NewConv2d(i.In("conv1"), 3, 4, 3, 1), nn.NewBatchNorm2d(i.In("bn1"), 4), nn.GELU{},
		nn.NewConv2d(i.In("conv2"), 4, 6, 3, 2), nn.NewBatchNorm2d(i.In("bn2"), 6), nn.GELU{},
	}, nn.Sequential{nn.AvgPool{Side: 2}, nn.Flatten{}, nn.NewLinear(i.In("fc"), 24, classes), nn.Scale{Factor: 0.5}})
	for _, way := range []local.Way{local.Directional, local.Shifted, local.Tangent, local.Double} {
		for _, normalize := range []bool{true, false} {
			for _, reduction := range []local.Reduction{local.Mean, local.Batch, local.Sum} {
				term := local.Reconcile{Lambda: 3, Normalize: normalize, Reduction: reduction, Gradient: way}
				t.Run(fmt.Sprintf("%s normalize=%v %s", way, normalize, reduction), func(t *testing.T) {
					added := b.added(term)
					for seed := range uint64(3) {
						u, flat := b.direction(seed)
						var got float64
						for i := range flat {
							got += added[i] * flat[i]
						}
						want := term.Lambda * b.along(u, term)
						e := math.Abs(got-want) / math.Abs(want)
						if !(e <= 1e-5) {
							t.Errorf("derivative along direction %d is %v, want %v", seed, got, want)
						}
						t.Logf("relative error %.1e", e)
					}
				})
			}
		}
	}
}

// agrees wants directional and double to add the same gradient in float32.
func (b *bench) agrees(t *testing.T) {
	t.Helper()
	for _, reduction := range []local.Reduction{local.Mean, local.Batch, local.Sum} {
		term := local.Reconcile{Lambda: 3, Normalize: true, Reduction: reduction}
		exact := term
		exact.Gradient = local.Double
		cos, ratio := cosine(b.added(term), b.added(exact))
		if !(cos >= 0.9999 && math.Abs(ratio-1) <= 1e-3) {
			t.Errorf("%s: cosine with the double backward %.5f, norms' ratio %.5f", reduction, cos, ratio)
		}
		t.Logf("%s: 1 − cosine %.1e, norms' ratio − 1 %.1e", reduction, 1-cos, ratio-1)
	}
}

// The term on part of the batch is the term of that part as a batch of its own, beside the objective of the whole.
func TestTermOnPartOfTheBatch(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	i := nn.Init{Seed: 3, Device: torch.CPU}
	b := newBench(t, s, torch.Float64, nn.NewConvNormReLU(i, "conv", "bn", 3, 6, 3, 2),
		nn.Sequential{nn.AvgPool{Side: 2}, nn.Flatten{}, nn.NewLinear(i.In("fc"), 24, classes)})
	for _, way := range []local.Way{local.Directional, local.Tangent, local.Double} {
		for _, normalize := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s normalize=%v", way, normalize), func(t *testing.T) {
				term := local.Reconcile{Lambda: 3, Normalize: normalize, Reduction: local.Batch, Gradient: way}
				part := *b
				first := func(t torch.Tensor) torch.Tensor { return s.Narrow(t, 0, 0, batch/4) }
				part.in = local.Signal{X: first(b.in.X), Y: first(b.in.Y), Delta: s.Clone(first(b.in.Delta))}
				if !normalize { // δ of a mean over fewer samples is longer, and so must r be
					torch.ForeachScale([]torch.Tensor{part.in.Delta}, 4)
				}
				want := part.added(term)
				term.Fraction = 0.25
				cos, ratio := cosine(b.added(term), want)
				if !(cos >= 1-1e-8 && math.Abs(ratio-1) <= 1e-5) {
					t.Errorf("1 − cosine %.1e, norms' ratio − 1 %.1e", 1-cos, ratio-1)
				}
			})
		}
	}
}

// A sample whose gates are all closed has no gradient. The others must not lose their term by it.
func TestDeadSampleLeavesTheOthersTheirTerm(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	b, bias := newHidden(t, s)
	bias.Uniform(-0.2, -0.1, 1)
	rows := make([]float64, batch)
	rows[5] = -1
	b.in.X = s.AddRows(b.in.X, b.in.X, b.in.X, s.FromDoubles(rows, batch), s.Full(torch.Float64, 0, batch)) // x₅ − x₅
	b.agrees(t)
}

// Where the module before is dead, the step has no ‖x‖ to be measured by.
func TestInputOfZerosHasATerm(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	b, bias := newHidden(t, s)
	bias.Uniform(0.1, 0.2, 1)
	b.in.X = s.ZerosLike(b.in.X)
	b.agrees(t)
}

// newHidden is a hidden layer of 16 units, whose bias it returns, with a linear head.
func newHidden(t *testing.T, s *torch.Scope) (*bench, torch.Tensor) {
	t.Helper()
	i := nn.Init{Seed: 3, Device: torch.CPU}
	hidden := nn.NewLinear(i.In("fc1"), images.C*images.H*images.W, 16)
	body := nn.Sequential{nn.Flatten{}, hidden, nn.ReLU{}}
	b := newBench(t, s, torch.Float32, body, nn.NewLinear(i.In("fc"), 16, classes))
	return b, hidden.Bias.Value
}
