package local

import (
	"cmp"
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
	Mean  Reduction = "mean"  // over B·D: what "an MSE between the two gradient terms" computes
	Batch Reduction = "batch" // summed over D, averaged over B
	Sum   Reduction = "sum"
)

// weight returns the factor of ΣS_i.
func (r Reduction) weight(b int, d int64) float64 {
	switch r {
	case Mean:
		return 1 / (float64(b) * float64(d))
	case Batch:
		return 1 / float64(b)
	case Sum:
		return 1
	}
	panic(fmt.Sprintf("local: unknown reduction %q", string(r)))
}

// pair is all that S and v need of δ and r: a few inner products a sample.
type pair struct {
	rows       []torch.Dots // ‖δ‖², ⟨δ,r⟩, ‖r‖²
	weight     float64      // of the reduction
	normalised bool
}

func (t *Reconcile) compare(delta, r torch.Tensor) pair {
	rows := torch.RowDots(delta, r)
	d := delta.Numel() / int64(len(rows))
	return pair{rows, t.Reduction.weight(len(rows), d), t.Normalize}
}

// norms returns the norms that δ_i and r_i are divided by, and the cosine between them.
func norms(d torch.Dots) (delta, r, cos float64) {
	delta, r = max(math.Sqrt(d.AA), floor), max(math.Sqrt(d.BB), floor)
	return delta, r, d.AB / (delta * r)
}

func (p pair) agreement() Agreement {
	var s, cos float64
	for _, d := range p.rows {
		a, b, c := norms(d)
		cos += c
		if p.normalised {
			s += d.AA/(a*a) - 2*c + d.BB/(b*b)
		} else {
			s += d.AA - 2*d.AB + d.BB
		}
	}
	return Agreement{SGR: s * p.weight, Cos: cos / float64(len(p.rows))}
}

// direction is v = ∂(λS)/∂δ as v_i = p_i·δ_i + q_i·r_i.
type direction struct {
	p, q []float64
	rows []float64 // ‖v_i‖
	norm float64   // ‖v‖ over the whole batch
}

// direction has a closed form. With n = δ/‖δ‖, m = r/‖r‖, c = ⟨n, m⟩ and weight w:
//
//	raw          v = 2w (δ − r)
//	normalised   v = (2w/‖δ‖)(c·n − m)
//
// A sample without gradient gets no direction: closed gates cut its δ off from θ, and at 1/τ it would leave the other
// samples no share of the step.
func (p pair) direction(t *Reconcile) direction {
	n := len(p.rows)
	v := direction{p: make([]float64, n), q: make([]float64, n), rows: make([]float64, n)}
	w := t.Lambda * p.weight
	for i, d := range p.rows {
		a, b, c := norms(d)
		switch {
		case !p.normalised:
			v.p[i], v.q[i] = 2*w, -2*w
		case a > floor:
			v.p[i], v.q[i] = 2*w*c/(a*a), -2*w/(a*b)
		}
		square := max(v.p[i]*v.p[i]*d.AA+2*v.p[i]*v.q[i]*d.AB+v.q[i]*v.q[i]*d.BB, 0)
		v.rows[i] = math.Sqrt(square)
		v.norm += square
	}
	v.norm = math.Sqrt(v.norm)
	return v
}

// reach is the largest ‖v_i‖/‖x_i‖. An input that is all zero, as dead units leave it, counts as 1.
func (v direction) reach(x torch.Tensor) float64 {
	var most float64
	for i, d := range torch.RowDots(x, x) {
		most = max(most, v.rows[i]/cmp.Or(math.Sqrt(d.AA), 1))
	}
	return most
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
	return s.Scale(s.Sum(s.Mul(diff, diff)), t.Lambda*t.Reduction.weight(int(shape[0]), shape[1]))
}

// unit divides each row by its norm, or by the floor where that is larger.
func unit(s *torch.Scope, rows torch.Tensor) torch.Tensor {
	return s.Div(rows, s.Sqrt(s.ClampMin(s.SumRows(s.Mul(rows, rows)), floor*floor)))
}

func scaled(v []float64, factor float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = factor * v[i]
	}
	return out
}
