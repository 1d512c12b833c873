package optim

import (
	"math"

	"github.com/locus-learn/locus/torch"
)

// adamw is Adam with decoupled weight decay (Loshchilov and Hutter 2019) as PyTorch defines it; at step t, from 1:
//
//	θ ← θ − lr·weight_decay·θ;  m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²
//	θ ← θ − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + eps)
//
// The denominator takes the place of the gradient: a step needs no memory of its own.
type adamw struct {
	group
	o    Options
	m, v []torch.Tensor
	step counter
}

func newAdamW(o Options, g group) *adamw {
	return &adamw{group: g, o: o, m: g.zeros(), v: g.zeros(), step: g.counter("step")}
}

// Step implements [Optimizer].
func (a *adamw) Step(grads []torch.Tensor, lr float64) {
	if a.o.WeightDecay != 0 {
		torch.ForeachScale(a.pick(a.theta), 1-lr*a.o.WeightDecay)
	}
	first, second := a.o.Betas[0], a.o.Betas[1]
	torch.ForeachScale(a.m, first)
	torch.ForeachAdd(a.m, grads, 1-first)
	torch.ForeachScale(a.v, second)
	torch.ForeachAddProduct(a.v, grads, grads, 1-second)
	t := float64(a.step.next())
	torch.ForeachRoot(grads, a.v, 1/math.Sqrt(1-math.Pow(second, t)), a.o.Eps)
	torch.ForeachAddQuotient(a.theta, a.m, grads, -lr/(1-math.Pow(first, t)))
}

// State implements [Optimizer].
func (a *adamw) State() []State {
	return append(append(a.states(a.m, "exp_avg"), a.states(a.v, "exp_avg_sq")...), a.step.state())
}

// Free implements [Optimizer].
func (a *adamw) Free() {
	free(a.m, a.v, []torch.Tensor{a.step.value})
	a.m, a.v = nil, nil
}
