package optim

import "github.com/locus-learn/locus/torch"

// lars gives every tensor a rate of its own (You et al. 2017), as Barlow Twins trains with it (Zbontar et al. 2021):
//
//	g ← g + weight_decay·θ;  g ← g·trust·‖θ‖/‖g‖ where neither norm is 0;  b ← momentum·b + g;  θ ← θ − lr·b
//
// The first two act on what `decay` says; biases and norms then take plain steps, of plain·g.
type lars struct {
	group
	o        Options
	momentum []torch.Tensor
}

func newLARS(o Options, g group) *lars { return &lars{g, o, g.zeros()} }

// Step implements [Optimizer].
func (l *lars) Step(grads []torch.Tensor, lr float64) {
	g, theta := l.pick(grads), l.pick(l.theta)
	if l.o.WeightDecay != 0 {
		torch.ForeachAdd(g, theta, l.o.WeightDecay)
	}
	for i := range g {
		if a, b := theta[i].Norm(), g[i].Norm(); a > 0 && b > 0 {
			torch.ForeachScale(g[i:i+1], l.o.Trust*a/b)
		}
	}
	if plain := l.rest(grads); len(plain) > 0 && l.o.Plain > 0 {
		torch.ForeachScale(plain, l.o.Plain)
	}
	torch.ForeachScale(l.momentum, l.o.Momentum)
	torch.ForeachAdd(l.momentum, grads, 1)
	torch.ForeachAdd(l.theta, l.momentum, -lr)
}

// State implements [Optimizer].
func (l *lars) State() []State { return l.states(l.momentum, "momentum") }

// Free implements [Optimizer].
func (l *lars) Free() {
	free(l.momentum)
	l.momentum = nil
}
