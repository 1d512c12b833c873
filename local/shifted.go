package local

import (
	"math"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// shifted finds the gradient of objective and term together in one pass, at the shifted input x + v: with v held constant,
//
//	∇_θ (L(θ; x) + ⟨∇_x L(θ; x), v⟩) = ∇_θ L(θ; x + v) + O(‖v‖²).
//
// That is the difference of [Reconcile.directional] with ε = 1, where g₀ + (g₁ − g₀)/ε is g₁ alone. So g₀ need not be found:
// the first pass goes back to the input and to no parameter. Of a module's n products it takes n forward and n back to δ, and
// the second one 3n: 5n, where a replayed pass takes 6n and a layer-wise step 3n. One set of gradients is held, not two. And
// nothing is subtracted, so rounding is that of an ordinary gradient.
//
// It is as good as a one-sided difference, if v is no longer than the step of one. Where it is longer, two passes at x ± εv find
// both gradients: see [Reconcile.twoSided].
//
// Which of the two it is has to be known at once. On a device that is waited for, so the difference is taken in its stead.
func (t *Reconcile) shifted(w *Work) (Gradients, Agreement) {
	defer torch.Exactly()()
	gates := &nn.Gates{}
	defer gates.Free()
	w.widen()
	g := w.Gradients(w.In.X, w.In.X.DType(), gates, Want{In: true, Bare: true})
	g.X, g.Out = w.narrowed(g.X), w.narrowed(g.Out)
	w.In.Delta = w.cast(w.In.Delta, g.In.DType())
	s := g.In.Device().Scope(torch.NoGrad)
	defer s.Close()
	pair := t.compare(s, g.In, w.In.Delta)
	agreement, v := pair.agreement(w.Scope), pair.direction(t)
	v.overParts(w, w.loss(g))
	size := v.orOne(v.length(w.In.X))
	longer := v.Scale(v.Div(v.norm, size), 1/t.relativeStep(w.In.X.DType())) // than a step: so many times
	switch {
	case v.zero():
		gates.Replay()
		g.In.Free()
		g.Theta = w.replayed(w.In.X, w.In.X.DType(), gates)
	case longer.Item() > 1:
		g.Theta = t.twoSided(w, g, v, longer, gates)
	default:
		x := v.of(w.Scope, w.In.X, g.In, w.In.Delta, torch.Tensor{})
		v.Close()
		free([]torch.Tensor{g.In, w.In.Delta, w.In.X})
		gates.Replay()
		g.Theta = w.replayed(x, x.DType(), gates)
	}
	return g, agreement
}

// twoSided returns the gradient of objective and term by two passes at x ± εv. Their mean is that of the objective, and half
// their difference over ε that of the term:
//
//	g = (½ + 1/2ε) g₊ + (½ − 1/2ε) g₋.
//
// The mean is off by O(ε²‖v‖²). With ε = 1/√(times that v is longer than a step) that is the same part of the term as what one
// pass is off by where v is as long as a step, and ε is 1. No sample goes farther than in [Reconcile.central].
func (t *Reconcile) twoSided(w *Work, g Gradients, v direction, longer torch.Tensor, gates *nn.Gates) (sum []torch.Tensor) {
	dtype := w.In.X.DType()
	most := v.over(v.Double(t.centralStep(dtype)), v.reach(w))
	eps := v.Double(min(1/math.Sqrt(longer.Item()), most.Item()))
	for _, side := range []float64{1, -1} {
		gates.Replay()
		x := v.of(w.Scope, w.In.X, g.In, w.In.Delta, v.Scale(eps, side))
		g1 := w.replayed(x, dtype, gates)
		if sum == nil {
			for _, theta := range g1 {
				sum = append(sum, w.Scope.ZerosLike(theta))
			}
		}
		share := v.Add(v.Double(0.5), v.Div(v.Double(side), v.Scale(eps, 2)), 1)
		torch.ForeachAddBy(sum, g1, w.Scope.Number(share))
		free(g1)
	}
	return sum
}
