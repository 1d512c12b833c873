package local

import (
	"fmt"
	"math"

	"github.com/locus-learn/locus/torch"
)

// floor is τ, the least norm that a gradient is divided by: a sample without gradient must not make a NaN.
const floor = 1e-12

// Reduction says how S_i = ‖δ_i − r_i‖² of the samples become one number.
type Reduction string

// With B samples of D elements each. Under Mean and normalised gradients S is at most 4/D, so λ acts as λ/D does
// under Batch: see [Reconcile] and docs/reconciliation.md.
const (
	Mean  Reduction = "mean"  // over B·D: what "an MSE between the two gradient terms" computes; "" means it, too
	Batch Reduction = "batch" // summed over D, averaged over B
	Sum   Reduction = "sum"
)

// weight returns the factor of ΣS_i.
func (r Reduction) weight(b int, d int64) float64 {
	switch r {
	case Mean, "":
		return 1 / (float64(b) * float64(d))
	case Batch:
		return 1 / float64(b)
	case Sum:
		return 1
	}
	panic(&torch.Error{Op: "reduction", Text: fmt.Sprintf("%q is none of mean, batch and sum", string(r))})
}

// pair is all that S and v need of δ and r: a few inner products a sample. All is found where δ is, in float64, and nothing
// of it is waited for.
type pair struct {
	*torch.Scope // owns all vectors, [N] each; records nothing
	dots         torch.Dots
	delta, r     torch.Tensor // the norms that δ_i and r_i are divided by
	cos          torch.Tensor // between them
	samples      int
	weight       float64 // of the reduction
	normalised   bool
}

// compare finds a pair on scope s.
func (t *Reconcile) compare(s *torch.Scope, delta, r torch.Tensor) pair {
	n := delta.Shape()[0]
	p := pair{Scope: s, dots: s.RowDots(delta, r), samples: int(n), normalised: t.Normalize}
	p.weight = t.weight(p.samples, delta.Numel()/n)
	p.delta, p.r = p.norm(p.dots.AA), p.norm(p.dots.BB)
	p.cos = p.Div(p.dots.AB, p.Mul(p.delta, p.r))
	return p
}

// norm returns the roots of squares, or the floor where that is larger.
func (p pair) norm(squares torch.Tensor) torch.Tensor { return p.ClampMin(p.Sqrt(squares), floor) }

// agreement returns numbers that live on when the pair's scope is closed: owner has them.
func (p pair) agreement(owner *torch.Scope) Agreement {
	aa, ab, bb := p.dots.AA, p.dots.AB, p.dots.BB
	if p.normalised {
		aa, ab, bb = p.Div(aa, p.Mul(p.delta, p.delta)), p.cos, p.Div(bb, p.Mul(p.r, p.r))
	}
	each := p.Add(p.Add(aa, ab, -2), bb, 1) // ‖a − b‖²
	s := p.Scale(p.SumInOrder(each), p.weight)
	cos := p.Div(p.SumInOrder(p.cos), p.Double(float64(p.samples)))
	return Agreement{SGR: owner.Number(s), Cos: owner.Number(cos)}
}

// direction is v = ∂(λS)/∂δ as v_i = p_i·δ_i + q_i·r_i. Its vectors belong to the pair.
type direction struct {
	*torch.Scope
	p, q    torch.Tensor
	squares torch.Tensor // ‖v_i‖²
	norm    torch.Tensor // ‖v‖ over the whole batch
	all     torch.Tensor // ‖x‖ over the whole batch where that is in parts
}

// direction has a closed form. With n = δ/‖δ‖, m = r/‖r‖, c = ⟨n, m⟩ and weight w:
//
//	raw          v = 2w (δ − r)
//	normalised   v = (2w/‖δ‖)(c·n − m)
//
// A sample without gradient gets no direction: closed gates cut its δ off from θ, and at 1/τ it would leave the other
// samples no share of the step.
func (p pair) direction(t *Reconcile) direction {
	w := t.Lambda * p.weight
	v := direction{Scope: p.Scope}
	if p.normalised {
		none := p.IsZero(p.Add(p.delta, p.Double(floor), -1))
		v.p = p.ZeroedWhere(p.Div(p.Scale(p.cos, 2*w), p.Mul(p.delta, p.delta)), none, 1)
		v.q = p.ZeroedWhere(p.Div(p.Double(-2*w), p.Mul(p.delta, p.r)), none, 1)
	} else {
		v.p, v.q = p.Full(torch.Float64, 2*w, int64(p.samples)), p.Full(torch.Float64, -2*w, int64(p.samples))
	}
	first := p.Mul(p.Mul(v.p, v.p), p.dots.AA)
	cross := p.Mul(p.Mul(p.Scale(v.p, 2), v.q), p.dots.AB)
	last := p.Mul(p.Mul(v.q, v.q), p.dots.BB)
	v.squares = p.ClampMin(p.Add(p.Add(first, cross, 1), last, 1), 0)
	v.norm = p.Sqrt(p.SumInOrder(v.squares))
	return v
}

// zero reports whether v is known to be zero: the neighbours agree. On a device that is not waited for, and such a v takes
// no more than a step of zero.
func (v direction) zero() bool { return v.norm.Device() == torch.CPU && v.norm.Item() == 0 }

// of returns v in full, or x + factor·v where there is a factor, owned by the given scope.
func (v direction) of(owner *torch.Scope, x, delta, r, factor torch.Tensor) torch.Tensor {
	p, q := v.p, v.q
	if factor.Defined() {
		p, q = v.Mul(p, factor), v.Mul(q, factor)
		defer free([]torch.Tensor{p, q})
	}
	return owner.AddRows(x, delta, r, p, q)
}

// overParts finds ‖v‖ and ‖x‖ over a batch that is in parts, and returns its loss: all parts must take the same step along v.
// The sums wait for v, on a device, too. A batch in one part has nothing to find.
func (v *direction) overParts(w *Work, loss float64) float64 {
	e := w.Module.within
	if e == nil {
		return loss
	}
	norm, x := v.norm.Item(), v.length(w.In.X).Item()
	sums := e.sums(loss, norm*norm, x*x)
	v.norm, v.all = v.Double(math.Sqrt(sums[1])), v.Double(math.Sqrt(sums[2]))
	return sums[0] / float64(e.ranks.Size())
}

// length is ‖x‖ over the whole batch.
func (v direction) length(x torch.Tensor) torch.Tensor {
	if v.all.Defined() {
		return v.all
	}
	return v.Sum(v.Norms([]torch.Tensor{x}))
}

// reach is the largest ‖v_i‖/‖x_i‖ of the whole batch. An input that is all zero, as dead units leave it, counts as 1.
func (v direction) reach(w *Work) torch.Tensor {
	lengths := v.orOne(v.Sqrt(v.RowDots(w.In.X, w.In.X).AA))
	reach := v.Max(v.Div(v.Sqrt(v.squares), lengths))
	if e := w.Module.within; e != nil {
		return v.Double(e.most(reach.Item()))
	}
	return reach
}

// orOne returns 1 where a is zero, and a elsewhere.
func (v direction) orOne(a torch.Tensor) torch.Tensor { return v.Add(a, v.IsZero(a), 1) }

// over returns a/b, without dimensions. Where b is zero it is as large as can be without ruling out that zero times it is
// zero.
func (v direction) over(a, b torch.Tensor) torch.Tensor {
	const least = 1e-290
	return v.Div(a, v.ClampMin(b, least))
}

// loss is λS(δ, r) as a recorded computation, for the double backward. Its gradient projects δ's own direction out, which
// would leave rounding of the size of the rest in bfloat16.
func (t *Reconcile) loss(s *torch.Scope, delta, r torch.Tensor) torch.Tensor {
	if delta.DType() == torch.BFloat16 {
		delta, r = s.Cast(delta, torch.Float32), s.Cast(r, torch.Float32)
	}
	n, m := s.Flatten(delta, 1), s.Flatten(r, 1)
	if t.Normalize {
		n, m = unit(s, n), unit(s, m)
	}
	diff := s.Add(n, m, -1)
	shape := n.Shape()
	return s.Scale(s.Sum(s.Mul(diff, diff)), t.Lambda*t.weight(int(shape[0]), shape[1]))
}

// unit divides each row by its norm, or by the floor where that is larger.
func unit(s *torch.Scope, rows torch.Tensor) torch.Tensor {
	return s.Div(rows, s.Sqrt(s.ClampMin(s.SumRows(s.Mul(rows, rows)), floor*floor)))
}
