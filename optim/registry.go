package optim

import (
	"github.com/locus-learn/locus/internal/registry"
	"github.com/locus-learn/locus/nn"
)

// Kind is an entry in the list of optimizers.
type Kind struct {
	Name, Doc string
	// Build returns an optimizer over the trainable ones among params, in their order. Clipping, averages and accumulation
	// are put around it.
	Build func(o Options, params []*nn.Param) Optimizer
}

var registered = registry.New("optim.name", func(k Kind) string { return k.Name })

func init() {
	Register(Kind{"sgd", "stochastic gradient descent with momentum", func(o Options, params []*nn.Param) Optimizer {
		return newSGD(o, newGroup(o, params))
	}})
	Register(Kind{"adamw", "Adam with decoupled weight decay (Loshchilov and Hutter 2019)", func(o Options, params []*nn.Param) Optimizer {
		return newAdamW(o, newGroup(o, params))
	}})
	Register(Kind{"lars", "a rate of its own for every tensor (You et al. 2017)", func(o Options, params []*nn.Param) Optimizer {
		return newLARS(o, newGroup(o, params))
	}})
}

// Register adds an optimizer, which recipes then name in optim.name. It panics on a name that is taken or on an entry that
// cannot be built.
func Register(k Kind) {
	if k.Build == nil {
		panic("optimizer " + k.Name + " has no Build")
	}
	registered.Add(k)
}

// Kinds lists the optimizers in the order in which they were registered.
func Kinds() []Kind { return registered.All() }
