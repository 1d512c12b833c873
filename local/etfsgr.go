package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

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
	s := r.Device().Scope(torch.NoGrad)
	defer s.Close()
	term := t.Reconcile.at(w.At.Done).over(w.Module.Ranks())
	pair := term.compare(s, g.In, r)
	agreement := pair.agreement(w.Scope)
	if v := pair.direction(term); !v.zero() {
		zero := p.ZerosLike(g.In)
		along := v.of(p.Scope, zero, g.In, r, torch.Tensor{})
		s.Close()
		free([]torch.Tensor{zero, g.In, r})
		t.add(g, p.Cast(along, w.DType))
		along.Free()
	}
	free([]torch.Tensor{g.a, g.dy})
	return g.Gradients, agreement
}

// add adds the term's gradient along v, shaped as the module's input. It consumes v.
func (t *ClosedReconcile) add(g *closedGradients, v torch.Tensor) {
	c := g.closedForm
	if c.unit.Flat {
		v = nn.Flatten{}.Forward(c.Pass, v)
	}
	defer v.Free()
	first := nn.ToWeights(c.Pass, c.unit.Weigh, g.a, v)
	torch.ForeachAdd(g.Theta[:1], first[:1], 1) // δ_x depends on the bias by the other parts alone
	free(first)
	if !t.Exact {
		return
	}
	b := c.second(g, nn.Times(c.Pass, c.unit.Weigh, v))
	rest := nn.ToWeights(c.Pass, c.unit.Weigh, b, c.Trace.X)
	torch.ForeachAdd(g.Theta[:len(rest)], rest, 1)
	free(append(rest, b))
}

// second returns σ′ ⊙ δ̇ + σ″ ⊙ δ_y ⊙ u. It consumes u.
func (c *closedForm) second(g *closedGradients, u torch.Tensor) torch.Tensor {
	defer u.Free()
	tangent := c.unit.Slope(c.Pass, c.Trace, u)
	change := c.curvature(g.reading, tangent)
	tangent.Free()
	b := c.unit.Slope(c.Pass, c.Trace, change)
	change.Free()
	if bend := c.unit.Act.Bend(c.Pass, c.Trace.Y, u); bend.Defined() {
		product := c.Mul(bend, g.dy)
		c.AddInPlace(b, product, 1)
		free([]torch.Tensor{bend, product})
	}
	return b
}

// curvature returns δ̇ = ∂²L/∂y² times a tangent at y.
func (c *closedForm) curvature(r reading, tangent torch.Tensor) torch.Tensor {
	out := c.unit.Push(c.Pass, c.Trace, tangent)
	h := c.head.Features(c.Pass, out)
	out.Free()
	logits := float(c.Pass, nn.Times(c.Pass, c.head.Linear, h))
	h.Free()
	weighted := c.Mul(r.probabilities, logits)
	delta := c.Add(weighted, c.Mul(r.probabilities, c.SumRows(weighted)), -1)
	torch.ForeachScale([]torch.Tensor{delta}, 1/float64(delta.Shape()[0]))
	d := c.descend(r, delta)
	defer d.Free()
	return c.unit.Unpool(c.Pass, c.Trace, d)
}
