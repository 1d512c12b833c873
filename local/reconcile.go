package local

import (
	"fmt"
	"math"
	"slices"

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
	Ramp      float64 // share of the training over which λ rises to Lambda from 0; 0 means none
	Normalize bool
	Reduction Reduction // "" means Mean
	Gradient  Way       // to the term's gradient; "" means Auto
	Every     int       // the term acts on every n-th step; 0 means on each
	Fraction  float64   // of the batch that the term is found on, in (0, 1); 0 and 1 mean all of it

	ranks int // that each have an equal part of the batch, the mean of whose gradients is taken; 0 means one
}

// Way is how the term's gradient is found.
type Way string

// All but Double find the derivative of the ordinary gradient along one direction at the input: Directional and Shifted as a
// difference, in float32 at least, Tangent exactly and in the type of the activations, for modules whose layers have
// derivatives ([nn.Tangents]). docs/reconciliation.md compares them.
const (
	Auto        Way = "auto"        // Tangent in bfloat16 for the modules that have it, Directional for all others
	Directional Way = "directional" // one replayed pass
	Shifted     Way = "shifted"     // one replayed pass that finds the objective's gradient, too; on the CPU
	Tangent     Way = "tangent"     // a direction that follows the pass, and one backward pass through both
	Double      Way = "double"      // double backward, the reference
)

// Check returns an error that names the first field whose value means nothing. Whoever composes a rule asks it.
func (t *Reconcile) Check() error {
	within := func(v, high float64) bool { return v >= 0 && v <= high } // not NaN
	switch {
	case !within(t.Lambda, math.MaxFloat32):
		return fmt.Errorf("Reconcile.Lambda is %g: must be a number of at least 0", t.Lambda)
	case !within(t.Ramp, 1):
		return fmt.Errorf("Reconcile.Ramp is %g: must be from 0 to 1", t.Ramp)
	case !within(t.Fraction, 1):
		return fmt.Errorf("Reconcile.Fraction is %g: must be from 0 to 1", t.Fraction)
	case t.Gradient == Tangent && t.Fraction > 0 && t.Fraction < 1:
		return fmt.Errorf("Reconcile.Fraction is %g: must be 1 with Gradient tangent, which takes the whole batch", t.Fraction)
	case t.Every < 0:
		return fmt.Errorf("Reconcile.Every is %d: must be at least 0", t.Every)
	case !slices.Contains([]Reduction{"", Mean, Batch, Sum}, t.Reduction):
		return fmt.Errorf("Reconcile.Reduction is %q: must be mean, batch or sum", string(t.Reduction))
	case !slices.Contains([]Way{"", Auto, Directional, Shifted, Tangent, Double}, t.Gradient):
		return fmt.Errorf("Reconcile.Gradient is %q: must be auto, directional, shifted, tangent or double", string(t.Gradient))
	}
	return nil
}

// Reads implements [Term].
func (t *Reconcile) Reads(step int) bool { return t.Every <= 1 || step%t.Every == 0 }

// Kind implements [Repeats]. While λ rises no step is like another.
func (t *Reconcile) Kind(r *Rule, m *Module, dtype torch.DType, at Tick) (kind string, repeats bool) {
	if at.Done < t.Ramp {
		return "", false
	}
	if t.Reads(at.Step) && m.Index > 1 && !t.Follows(r, m, dtype) && m.LastLoss() < centralBelow {
		return "central", true
	}
	return "", true
}

// Gradients implements [Term].
func (t *Reconcile) Gradients(w *Work) (Gradients, Agreement) {
	t = t.at(w.At.Done).over(w.Module.Ranks())
	switch {
	case !w.In.Delta.Defined():
		return None{}.Gradients(w)
	case t.Lambda == 0:
		return t.measured(w)
	case t.Fraction > 0 && t.Fraction < 1:
		return t.partial(w)
	default:
		return t.whole(w, nil)
	}
}

// at is the term as it is when the fraction done of the training lies behind.
func (t *Reconcile) at(done float64) *Reconcile {
	if done >= t.Ramp {
		return t
	}
	ramped := *t
	ramped.Lambda *= done / t.Ramp
	return &ramped
}

// over is the term for a batch in parts on so many ranks.
func (t *Reconcile) over(ranks int) *Reconcile {
	if ranks < 2 {
		return t
	}
	shared := *t
	shared.ranks = ranks
	return &shared
}

// weight returns the factor of ΣS_i over b samples of d elements each, so that the mean of the ranks' terms is that of the
// whole batch. A sum's mean lacks a factor R. Gradients of a part's mean loss are R times those of the whole one's: where they
// are compared raw, their squares are R² times too large.
func (t *Reconcile) weight(b int, d int64) float64 {
	w, r := t.Reduction.weight(b, d), float64(max(1, t.ranks))
	if t.Reduction == Sum {
		w *= r
	}
	if !t.Normalize {
		w /= r * r
	}
	return w
}

// whole finds the term on all of w's signal. It adds the term's gradient to into, or to the objective's where into is nil.
func (t *Reconcile) whole(w *Work, into []torch.Tensor) (Gradients, Agreement) {
	switch {
	case t.Gradient == Double:
		return t.double(w, into)
	case into == nil && t.Follows(w.Rule, w.Module, w.DType):
		return t.tangent(w)
	case into == nil && t.Shifts(w.In.X.Device()):
		return t.shifted(w)
	default:
		return t.directional(w, into)
	}
}

// Shifts tells whether a rule with this term finds gradients on a device at a shifted input: [Shifted].
func (t *Reconcile) Shifts(d torch.Device) bool { return t.Gradient == Shifted && d == torch.CPU }

// partial finds the term on the first samples alone, as a batch of its own: their loss, normalised by their own
// statistics, decides δ and its direction. With the share f of the samples a step costs about 1 + 2f layer-wise ones.
func (t *Reconcile) partial(w *Work) (Gradients, Agreement) {
	n := w.In.samples()
	part := *w
	part.part = true
	part.In = w.In.rows(w.Scope, min(n, max(2, int64(math.Round(t.Fraction*float64(n)))))) // of one sample there are no statistics
	if !t.Normalize {                                                                      // r carries the 1/B of a mean over the whole batch
		r := part.In.Delta
		part.In.Delta = w.Scope.Scale(r, float64(n)/float64(part.In.samples()))
		r.Free()
	}
	w.In.Delta.Free()
	g := w.Gradients(w.In.X, w.DType, nil, Want{})
	w.In.X.Free()
	p, agreement := t.whole(&part, g.Theta)
	p.X.Free()
	free(p.Theta)
	return g, agreement
}

// measured leaves the objective's gradients alone and only tells how well the neighbours agree.
func (t *Reconcile) measured(w *Work) (Gradients, Agreement) {
	g := w.Gradients(w.In.X, w.DType, nil, Want{In: true})
	return g, t.agreement(w.Scope, g.In, w.In.Delta)
}

// agreement of δ and r, owned by a scope.
func (t *Reconcile) agreement(owner *torch.Scope, delta, r torch.Tensor) Agreement {
	s := delta.Device().Scope(torch.NoGrad)
	defer s.Close()
	return t.compare(s, delta, r).agreement(owner)
}

// double differentiates δ itself, as Algorithm 1 does: it holds a second-order graph of the whole module.
func (t *Reconcile) double(w *Work, into []torch.Tensor) (Gradients, Agreement) {
	g := w.Gradients(w.In.X, w.DType, nil, Want{In: true, Graph: true})
	agreement := t.agreement(w.Scope, g.In, w.In.Delta)
	term := t.loss(w.Scope, g.In, w.In.Delta)
	g.In.Free()
	extra := w.Scope.Grad(term, w.Module.Theta(), torch.GradOptions{})
	for i, first := range g.Theta {
		g.Theta[i] = w.Scope.Detach(first)
		first.Free()
	}
	if into == nil {
		into = g.Theta
	}
	for i, e := range extra {
		if e.Defined() { // δ does not depend on every parameter
			torch.ForeachAdd(into[i:i+1], extra[i:i+1], 1)
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
func (t *Reconcile) directional(w *Work, into []torch.Tensor) (Gradients, Agreement) {
	defer torch.Exactly()()
	gates := &nn.Gates{}
	defer gates.Free()
	w.widen()
	g := w.Gradients(w.In.X, w.In.X.DType(), gates, Want{In: true})
	g.X, g.Out = w.narrowed(g.X), w.narrowed(g.Out)
	w.In.Delta = w.cast(w.In.Delta, g.In.DType())
	s := g.In.Device().Scope(torch.NoGrad)
	defer s.Close()
	pair := t.compare(s, g.In, w.In.Delta)
	agreement, v := pair.agreement(w.Scope), pair.direction(t)
	if into == nil {
		into = g.Theta
	}
	loss := v.overParts(w, w.loss(g))
	switch {
	case v.zero():
	case loss < centralBelow:
		t.central(w, g, v, gates, into)
	default:
		t.oneSided(w, g, v, gates, into)
	}
	return g, agreement
}

// loss returns L_k where it is known; elsewhere that of the step before, which has arrived meanwhile.
func (w *Work) loss(g Gradients) float64 {
	if loss, known := g.Loss.Value(); known {
		return loss
	}
	return w.Module.LastLoss()
}

// oneSided adds the term's gradient to into, by one pass, at x + εv. It closes v.
func (t *Reconcile) oneSided(w *Work, g Gradients, v direction, gates *nn.Gates, into []torch.Tensor) {
	dtype := w.In.X.DType()
	size := v.orOne(v.length(w.In.X))
	eps := v.over(v.Scale(size, t.relativeStep(dtype)), v.norm)
	x := v.of(w.Scope, w.In.X, g.In, w.In.Delta, eps)
	back := w.Scope.Number(v.Div(v.Double(1), eps))
	v.Close()
	g.In.Free()
	w.In.Delta.Free()
	w.In.X.Free()
	gates.Replay()
	g1 := w.replayed(x, dtype, gates)
	torch.ForeachAdd(g1, g.Theta, -1)
	torch.ForeachAddBy(into, g1, back)
}

// widen makes the module compute in float32 at least, since a difference of gradients in bfloat16 would be all rounding.
func (w *Work) widen() {
	if w.DType == torch.BFloat16 {
		w.In.X = w.cast(w.In.X, torch.Float32)
	}
}

// narrowed returns what the next module gets, in the type of the activations.
func (w *Work) narrowed(t torch.Tensor) torch.Tensor {
	if !t.Defined() {
		return t
	}
	return w.cast(t, w.DType)
}

// cast consumes t.
func (w *Work) cast(t torch.Tensor, dtype torch.DType) torch.Tensor {
	if t.DType() == dtype {
		return t
	}
	defer t.Free()
	return w.Scope.Cast(t, dtype)
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

// centralBelow is the loss of a module whose gradients are too small for a one-sided difference.
const centralBelow = 5e-3

// centralStep is ε‖v_i‖/‖x_i‖ of the central difference, for the sample that goes farthest.
func (*Reconcile) centralStep(dtype torch.DType) float64 {
	if dtype == torch.Float64 {
		return 1e-5
	}
	return 2e-2
}

// central does the same by two passes, at x ± εv: twice the price, and exact to second order.
func (t *Reconcile) central(w *Work, g Gradients, v direction, gates *nn.Gates, into []torch.Tensor) {
	dtype := w.In.X.DType()
	eps := v.over(v.Double(t.centralStep(dtype)), v.reach(w))
	for _, side := range []float64{1, -1} {
		gates.Replay()
		x := v.of(w.Scope, w.In.X, g.In, w.In.Delta, v.Scale(eps, side))
		g1 := w.replayed(x, dtype, gates)
		torch.ForeachAddBy(into, g1, w.Scope.Number(v.Div(v.Double(side), v.Scale(eps, 2))))
		free(g1)
	}
}

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
