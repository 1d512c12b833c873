package optim

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// sgd is stochastic gradient descent as PyTorch defines it:
//
//	d ← g + weight_decay·θ;  b ← momentum·b + d;  d ← d + momentum·b if Nesterov, else b;  θ ← θ − lr·d
type sgd struct {
	o        Options
	names    []string
	theta    []torch.Tensor
	momentum []torch.Tensor // nil without momentum
}

func newSGD(o Options, params []*nn.Param) *sgd {
	s := &sgd{o: o, theta: nn.Trainable(params)}
	for _, p := range params {
		if p.Trainable {
			s.names = append(s.names, p.Name)
		}
	}
	if o.Momentum != 0 {
		scope := torch.NewScope(torch.NoGrad)
		defer scope.Close()
		for _, t := range s.theta {
			s.momentum = append(s.momentum, scope.ZerosLike(t).Keep())
		}
	}
	return s
}

// Step implements [Optimizer].
func (s *sgd) Step(grads []torch.Tensor, lr float64) {
	if s.o.WeightDecay != 0 {
		torch.ForeachAdd(grads, s.theta, s.o.WeightDecay)
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
func (s *sgd) State() []State {
	var out []State
	for i, b := range s.momentum {
		out = append(out, State{s.names[i] + ".momentum", b})
	}
	return out
}

// Free implements [Optimizer].
func (s *sgd) Free() {
	for _, b := range s.momentum {
		b.Free()
	}
	s.momentum = nil
}
