package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// etfSGR is etf with successive gradient reconciliation, in closed form, too (Appendix D).
var etfSGR = Method{
	Name: "etf-sgr", Doc: "etf with successive gradient reconciliation in closed form; method.gradient exact, or paper for Eq. 35 as printed",
	Claims: descends(backpropFree(Never, "all layers on each batch")),
	Cut:    Everywhere, Head: "etf", LastHead: true, Fits: fitsUnits("etf-sgr"),
	GradientOptions: []string{"exact", "paper"},
	Compose: func(o Options) (Rule, Schedule) {
		form := ClosedForm{Smoothing: o.Smoothing}
		term := &ClosedReconcile{Reconcile: o.reconcile(), Form: form, Exact: o.Gradient != "paper"}
		return Rule{Objective: o.classify(), Term: term, Credit: form, Closed: true}, Together{}
	},
}

// ClosedReconcile is [Reconcile]'s term for units with fixed heads, by formulas. With v = ∂(λS)/∂δ_x held constant, u = W v
// and ⟨δ_x, v⟩ = ⟨δ_y ⊙ σ′, u⟩, the term's gradient is a sum of three parts:
//
//	∂(λS)/∂W = a vᵀ + (σ′ ⊙ δ̇ + σ″ ⊙ δ_y ⊙ u) xᵀ,   δ̇ = Mᵀ(diag p − p pᵀ)M(σ′ ⊙ u)/N through the pools.
//
// Eq. 35 is the first with raw gradients, v = 2w(δ_x − r), w being the reduction's weight: it holds ∂L/∂y fixed, which
// depends on W, too. (Appendix D's S has a factor ½ that Eq. 6 has not.) Exact has all three, and with them the bias's
// gradient. σ″ is zero for ReLU.
type ClosedReconcile struct {
	*Reconcile
	Form  ClosedForm
	Exact bool
}

// Gradients implements [Term].
func (t *ClosedReconcile) Gradients(w *Work) (Gradients, Agreement) {
	r := w.In.Delta
	if !r.Defined() {
		return None{}.Gradients(w)
	}
	p, want := w.pass(w.DType, nil), Want{In: true, Out: w.out}
	g := t.Form.open(p, w.Module, w.In, want)
	g.learn(w.In.X, want)
	pair := t.compare(g.In, r)
	if v := pair.direction(t.Reconcile); v.norm > 0 {
		zero := p.ZerosLike(g.In)
		along := p.Cast(p.AddRows(zero, g.In, r, v.p, v.q), w.DType)
		zero.Free()
		t.add(g, along)
	}
	return g.Gradients, pair.agreement()
}

// add adds the term's gradient along v, shaped as the module's input.
func (t *ClosedReconcile) add(g *closedGradients, v torch.Tensor) {
	c := g.closedForm
	if c.unit.Flat {
		v = c.Flatten(v, 1)
	}
	first := nn.ToWeights(c.Pass, c.unit.Weigh, g.a, v)
	torch.ForeachAdd(g.Theta[:1], first[:1], 1) // δ_x depends on the bias by the other parts alone
	if !t.Exact {
		return
	}
	u := nn.Times(c.Pass, c.unit.Weigh, v)
	tangent := c.unit.Slope(c.Pass, c.Trace, u)
	change := c.curvature(g.reading, tangent) // δ̇ along u
	tangent.Free()
	b := c.unit.Slope(c.Pass, c.Trace, change)
	change.Free()
	if bend := c.unit.Act.Bend(c.Pass, c.Trace.Y, u); bend.Defined() {
		c.AddInPlace(b, c.Mul(bend, g.dy), 1)
	}
	rest := nn.ToWeights(c.Pass, c.unit.Weigh, b, c.Trace.X)
	torch.ForeachAdd(g.Theta[:len(rest)], rest, 1)
}

// curvature returns ∂²L/∂y² times a tangent at y.
func (c *closedForm) curvature(r reading, tangent torch.Tensor) torch.Tensor {
	out := c.unit.Push(c.Pass, c.Trace, tangent)
	logits := float(c.Pass, nn.Times(c.Pass, c.head.Linear, c.head.Features(c.Pass, out)))
	weighted := c.Mul(r.probabilities, logits)
	mean := c.SumRows(weighted)
	delta := c.Add(weighted, c.Mul(r.probabilities, mean), -1)
	n := float64(delta.Shape()[0])
	return c.unit.Unpool(c.Pass, c.Trace, c.descend(r, c.Scale(delta, 1/n)))
}
