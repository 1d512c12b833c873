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
	if len(g) > 0 {
		l.trust(g, theta)
	}
	if plain := l.rest(grads); len(plain) > 0 && l.o.Plain > 0 {
		torch.ForeachScale(plain, l.o.Plain)
	}
	torch.ForeachScale(l.momentum, l.o.Momentum)
	torch.ForeachAdd(l.momentum, grads, 1)
	torch.ForeachAdd(l.theta, l.momentum, -lr)
}

// trust scales each gradient by trust·‖θ‖/‖g‖, by 1 where a norm is 0.
func (l *lars) trust(g, theta []torch.Tensor) {
	s := l.device().Scope(torch.NoGrad)
	defer s.Close()
	a, b := s.Norms(theta), s.Norms(g)
	none := s.IsZero(s.Mul(a, b))
	ratio := s.ZeroedWhere(s.Div(s.Scale(a, l.o.Trust), b), none, 1)
	torch.ForeachScaleEach(g, s.Add(ratio, none, 1))
}

// State implements [Optimizer].
func (l *lars) State() []State { return l.states(l.momentum, "momentum") }

// Free implements [Optimizer].
func (l *lars) Free() {
	free(l.momentum)
	l.momentum = nil
}
