package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Follows tells whether a rule with this term finds the term's gradient of a module by a tangent: because it is asked to, or
// in bfloat16 of itself, and all that the module's loss consists of has a derivative for [nn.Pass.Along].
func (t *Reconcile) Follows(r *Rule, m *Module, dtype torch.DType) bool {
	wanted := t.Gradient == Tangent || dtype == torch.BFloat16 && (t.Gradient == Auto || t.Gradient == "")
	return wanted && r.Tangents() && nn.Tangents(m.Body, m.Head)
}

// Tangents tells whether the rule's objective and credit have what a tangent needs, whatever the modules are.
func (r *Rule) Tangents() bool {
	_, autograd := r.Credit.(Autograd)
	objective, ok := r.Objective.(interface{ Tangents() bool })
	return autograd && ok && objective.Tangents()
}

// tangent finds the gradient of objective and term together, d/dε of [Reconcile.directional] being exact: v follows the
// pass through the module as a direction, and what goes back through both at once is
//
//	∇_θ (L + L̇),  L̇ = d/dε L(θ; x + εv) = ⟨∂L/∂x, v⟩.
//
// There is no difference for rounding to spoil. Of a module's n products a layer-wise step takes 3n; this takes 7n: n
// forward and n back to δ, n for the direction, and 4n back through x and v.
func (t *Reconcile) tangent(w *Work) (Gradients, Agreement) {
	gates := &nn.Gates{Points: true}
	defer gates.Free()
	agreement := unmeasured
	g := w.Gradients(w.In.X, w.DType, gates, Want{In: true, Along: func(delta torch.Tensor) torch.Tensor {
		w.In.Delta = w.cast(w.In.Delta, delta.DType())
		defer w.In.Delta.Free()
		s := delta.Device().Scope(torch.NoGrad)
		defer s.Close()
		pair := t.compare(s, delta, w.In.Delta)
		agreement = pair.agreement(w.Scope)
		v := pair.direction(t)
		if v.zero() {
			return torch.Tensor{}
		}
		return v.of(w.Scope, torch.Tensor{}, delta, w.In.Delta, torch.Tensor{})
	}})
	return g, agreement
}

// along completes the gradients of a loss whose graph stands: δ first, then those of the loss and of its change along
// the direction that want.Along makes of δ. It consumes loss, x0 and xk.
func along(p *nn.Pass, m *Module, o Objective, in Signal, g Gradients, loss, x0, xk torch.Tensor, want Want) Gradients {
	ends := []torch.Tensor{x0}
	if want.Out {
		ends = append(ends, xk)
	}
	grads := p.Grad(loss, ends, torch.GradOptions{Retain: true})
	g.In = grads[0]
	if want.Out {
		g.Out = grads[1]
	}
	xk.Free()
	x0.Free()
	if v := want.Along(g.In); v.Defined() {
		g.In.Free()
		q := p.Along()
		dx := q.Run(m.Body, q.Cast(v, q.Compute))
		v.Free()
		change := o.Loss(q, m, dx, in)
		dx.Free()
		both := p.Add(loss, change, 1)
		loss.Free()
		change.Free()
		loss = both
	}
	g.Theta = p.Grad(loss, m.Theta(), torch.GradOptions{})
	loss.Free()
	return g
}
