package optim

import "github.com/locus-learn/locus/torch"

// sgd is stochastic gradient descent as PyTorch defines it:
//
//	d ← g + weight_decay·θ;  b ← momentum·b + d;  d ← d + momentum·b if Nesterov, else b;  θ ← θ − lr·d
type sgd struct {
	group
	o        Options
	momentum []torch.Tensor // nil without momentum
}

func newSGD(o Options, g group) *sgd {
	s := &sgd{group: g, o: o}
	if o.Momentum != 0 {
		s.momentum = g.zeros()
	}
	return s
}

// Step implements [Optimizer].
func (s *sgd) Step(grads []torch.Tensor, lr float64) {
	if s.o.WeightDecay != 0 {
		torch.ForeachAdd(s.pick(grads), s.pick(s.theta), s.o.WeightDecay)
	}
	d := grads
	if s.momentum != nil {
		torch.ForeachScale(s.momentum, s.o.Momentum)
		torch.ForeachAdd(s.momentum, grads, 1)
		if s.o.Nesterov {
			torch.ForeachAdd(grads, s.momentum, s.o.Momentum)
		} else {
			d = s.momentum
		}
	}
	torch.ForeachAdd(s.theta, d, -lr)
}

// State implements [Optimizer].
func (s *sgd) State() []State { return s.states(s.momentum, "momentum") }

// Free implements [Optimizer].
func (s *sgd) Free() {
	free(s.momentum)
	s.momentum = nil
}
