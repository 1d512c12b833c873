// Package optim has optimizers over lists of tensors and the schedules of their learning rate.
package optim

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Options is the `optim` section of a recipe.
type Options struct {
	Name        string  `recipe:"name" default:"sgd" oneof:"sgd" doc:"optimizer"`
	LR          float64 `recipe:"lr" default:"0.1" min:"0" doc:"learning rate at the top of the schedule"`
	Momentum    float64 `recipe:"momentum" default:"0.9" min:"0" max:"1" doc:"momentum"`
	Nesterov    bool    `recipe:"nesterov" default:"false" doc:"Nesterov's momentum"`
	WeightDecay float64 `recipe:"weight_decay" default:"5e-4" min:"0" doc:"L2 penalty, added to the gradient"`
}

// Optimizer changes parameters by their gradients. It lives as long as the parameters do: no schedule rebuilds it.
type Optimizer interface {
	// Step applies one update at learning rate lr. grads are in the order of the parameters that the optimizer was made
	// for; it overwrites them. A missing gradient is an error of the caller.
	Step(grads []torch.Tensor, lr float64)
	// State lists what must be saved to go on later, named by the parameter and the role: "conv1.weight.momentum".
	State() []State
	// Free releases the state.
	Free()
}

// State is a named tensor of an optimizer, owned by it.
type State struct {
	Name  string
	Value torch.Tensor
}

// New returns the optimizer that o asks for over the trainable ones among params.
func New(o Options, params []*nn.Param) Optimizer { return newSGD(o, params) }
