package main

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// unitSteps moves every tensor by a step of length lr, whatever the length of its gradient.
type unitSteps struct{ theta []torch.Tensor }

// Step implements optim.Optimizer. The gradients may be overwritten.
func (o unitSteps) Step(grads []torch.Tensor, lr float64) {
	for i, g := range grads {
		if length := g.Norm(); length > 0 {
			torch.ForeachAdd(o.theta[i:i+1], grads[i:i+1], -lr/length)
		}
	}
}

// State implements optim.Optimizer: nothing must be saved to go on later.
func (unitSteps) State() []optim.State { return nil }

// Free implements optim.Optimizer.
func (unitSteps) Free() {}

func init() {
	optim.Register(optim.Kind{Name: "unit-steps", Doc: "steps of length lr", Build: func(_ optim.Options, params []*nn.Param) optim.Optimizer {
		return unitSteps{nn.Trainable(params)}
	}})
}
