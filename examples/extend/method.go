package main

import (
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// sharp is an objective: the cross-entropy of answers that are multiplied first, so that samples which are right already
// count for less.
type sharp struct{ factor float64 }

// Loss implements local.Objective.
func (o sharp) Loss(p *nn.Pass, m *local.Module, x torch.Tensor, in local.Signal) torch.Tensor {
	answers := m.Head.Forward(p, p.Alias(x)) // Forward consumes its input; the module still needs x
	return p.CrossEntropy(p.Scale(answers, o.factor), in.Y, 0)
}

func init() {
	method.Register(method.Method{
		Name: "sharp", Doc: "layer-wise on answers that are multiplied by 2",
		Claims: method.Claims{
			Backward: method.Inside, Locking: method.Never, Transport: method.Inside,
			Descends: true, Trains: "all modules on each batch",
		},
		Compose: func(method.Options) (local.Rule, local.Schedule) {
			return local.Rule{Objective: sharp{2}, Term: local.None{}, Credit: local.Autograd{}}, local.Together{}
		},
	})
}
