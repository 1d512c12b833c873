package local

import (
	"cmp"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Reconcile is successive gradient reconciliation (Sec. 3.2). The gradient of a module's loss with respect to its
// input, δ = ∂L_k/∂x_{k−1}, is drawn towards r = ∂L_{k−1}/∂x_{k−1}, along which the previous module is about to move
// that input:
//
//	min over θ_k   L_k + λ·S(δ, r)                                            (Eq. 5)
//
// with S = ‖δ − r‖² (Eq. 6) or, with Normalize, the same on gradients divided by their own norms, sample by sample
// (Algorithm 1). r is a constant. The first module has no neighbour and trains on L_1 alone, as all do on steps that
// Every leaves out.
type Reconcile struct {
	Lambda    float64
	Normalize bool
	Reduction Reduction
	Double    bool // the term's gradient by double backward, the reference, instead of by a replayed pass
	Every     int  // the term acts on every n-th step; 0 means on each
}

// Reads implements [Term].
func (t *Reconcile) Reads(step int) bool { return t.Every <= 1 || step%t.Every == 0 }

// Gradients implements [Term].
func (t *Reconcile) Gradients(w *Work) (Gradients, Agreement) {
	switch {
	case !w.In.Delta.Defined():
		return None{}.Gradients(w)
	case t.Lambda == 0:
		return t.measured(w)
	case t.Double:
		return t.double(w)
	default:
		return t.directional(w)
	}
}

// measured leaves the objective's gradients alone and only tells how well the neighbours agree.
func (t *Reconcile) measured(w *Work) (Gradients, Agreement) {
	g := w.Gradients(w.In.X, w.DType, nil, Want{In: true})
	return g, t.compare(g.In, w.In.Delta).agreement()
}

// double differentiates δ itself, as Algorithm 1 does: it holds a second-order graph of the whole module.
func (t *Reconcile) double(w *Work) (Gradients, Agreement) {
	g := w.Gradients(w.In.X, w.DType, nil, Want{In: true, Graph: true})
	agreement := t.compare(g.In, w.In.Delta).agreement()
	term := t.loss(w.Scope, g.In, w.In.Delta)
	g.In.Free()
	extra := w.Scope.Grad(term, w.Module.Theta(), torch.GradOptions{})
	for i, e := range extra {
		first := g.Theta[i]
		g.Theta[i] = w.Scope.Detach(first)
		first.Free()
		if e.Defined() { // δ does not depend on every parameter
			torch.ForeachAdd(g.Theta[i:i+1], extra[i:i+1], 1)
			e.Free()
		}
	}
	return g, agreement
}

// directional finds the same gradient at the price of one more ordinary pass. With v = ∂(λS)/∂δ held constant,
//
//	∇_θ λS(δ) = (∂δ/∂θ)ᵀ v = ∇_θ ⟨∇_x L(θ; x), v⟩ = d/dε ∇_θ L(θ; x + εv)  at ε = 0,
//
// the change of the ordinary gradient along v at the input. The second pass replays the ReLU gates of the first: a
// double backward, too, differentiates the network with its activation pattern fixed.
func (t *Reconcile) directional(w *Work) (Gradients, Agreement) {
	gates := &nn.Gates{}
	defer gates.Free()
	g := w.Gradients(w.In.X, w.DType, gates, Want{In: true})
	pair := t.compare(g.In, w.In.Delta)
	v := pair.direction(t)
	if v.norm == 0 { // the neighbours agree
		return g, pair.agreement()
	}
	if w.DType == torch.BFloat16 || g.Loss < centralBelow {
		t.central(w, g, v, gates)
		return g, pair.agreement()
	}
	eps := t.relativeStep(w.DType) * size(w.In.X) / v.norm
	x := w.Scope.AddRows(w.In.X, g.In, w.In.Delta, scaled(v.p, eps), scaled(v.q, eps))
	g.In.Free()
	w.In.Delta.Free()
	w.In.X.Free()
	gates.Replay()
	g1 := w.replayed(x, w.DType, gates)
	torch.ForeachAdd(g1, g.Theta, -1)
	torch.ForeachAdd(g.Theta, g1, 1/eps)
	return g, pair.agreement()
}

// relativeStep is ε‖v‖/‖x‖ of the one-sided difference: small enough for its curvature error, large enough for the
// type's rounding. Raw gradients put v into the few samples that are wrong, where curvature is high; normalised ones
// into the many that are right, where gradients are small. docs/reconciliation.md has the measurements.
func (t *Reconcile) relativeStep(dtype torch.DType) float64 {
	switch {
	case dtype == torch.Float64:
		return 1e-7
	case t.Normalize:
		return 1e-3
	default:
		return 1e-4
	}
}

const (
	centralStep  = 1e-2 // ε‖v‖/‖x‖ of the central difference
	centralBelow = 5e-3 // loss of a module whose gradients are too small for a one-sided difference
)

// central adds the term's gradient by two passes, at x ± εv, in float32 or better: twice the price, and exact to second
// order. A difference of gradients that were computed in bfloat16 would be all rounding.
func (t *Reconcile) central(w *Work, g Gradients, v direction, gates *nn.Gates) {
	dtype := w.DType
	if dtype == torch.BFloat16 {
		dtype = torch.Float32
	}
	x, delta, r := w.Scope.Cast(w.In.X, dtype), w.Scope.Cast(g.In, dtype), w.Scope.Cast(w.In.Delta, dtype)
	g.In.Free()
	w.In.X.Free()
	w.In.Delta.Free()
	relative := centralStep
	if dtype == torch.Float64 {
		relative = 1e-5
	}
	eps := relative * size(x) / v.norm
	for _, side := range []float64{1, -1} {
		gates.Replay()
		g1 := w.replayed(w.Scope.AddRows(x, delta, r, scaled(v.p, side*eps), scaled(v.q, side*eps)), dtype, gates)
		torch.ForeachAdd(g.Theta, g1, side/(2*eps))
		free(g1)
	}
}

// size is what steps are measured by: ‖x‖, or 1 for an input that is all zero, as dead units leave it.
func size(x torch.Tensor) float64 { return cmp.Or(x.Norm(), 1) }

// replayed returns ∇_θ L at x with the gates' choices. It consumes x.
func (w *Work) replayed(x torch.Tensor, dtype torch.DType, gates *nn.Gates) []torch.Tensor {
	g := w.Gradients(x, dtype, gates, Want{})
	x.Free()
	g.X.Free()
	return g.Theta
}

func free(ts []torch.Tensor) {
	for _, t := range ts {
		t.Free()
	}
}
