package optim

import (
	"slices"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Group says how a parameter's steps differ from those of others in its module.
type Group struct {
	Rate  float64 // factor of the learning rate
	Apart bool    // it takes steps of its own: the other parameters may stand still meanwhile
}

// NewGrouped is [New] with groups of parameters. Clipping, averages and the gathering of batches stay those of the module.
//
// At a step, all gradients of parameters with one value of Apart may be missing. Those parameters then stay as they are, and so
// does their state. Where no parameter is trainable, the optimizer has no state and does nothing.
func NewGrouped(o Options, params []*nn.Param, of func(*nn.Param) Group) Optimizer {
	o, kind, err := o.settled()
	if err != nil {
		panic(err)
	}
	l := &grouped{}
	var keys []Group
	var members [][]*nn.Param
	n := 0
	for _, p := range params {
		if !p.Trainable {
			continue
		}
		key := of(p)
		at := slices.Index(keys, key)
		if at < 0 {
			at = len(keys)
			keys, members, l.places = append(keys, key), append(members, nil), append(l.places, nil)
		}
		members[at], l.places[at] = append(members[at], p), append(l.places[at], n)
		n++
	}
	switch {
	case n == 0:
		return resting{}
	case len(keys) == 1 && keys[0].Rate == 1:
		return o.around(kind.Build(o, params), newGroup(o, params))
	}
	for i, key := range keys {
		l.parts, l.rates = append(l.parts, kind.Build(o, members[i])), append(l.rates, key.Rate)
	}
	return o.around(l, newGroup(o, params))
}

// grouped has an optimizer for each group.
type grouped struct {
	parts  []Optimizer
	rates  []float64
	places [][]int // of each part's parameters among all
}

// Step implements [Optimizer].
func (l *grouped) Step(grads []torch.Tensor, lr float64) {
	for i, part := range l.parts {
		own := make([]torch.Tensor, len(l.places[i]))
		for k, at := range l.places[i] {
			own[k] = grads[at]
		}
		if own[0].Defined() {
			part.Step(own, lr*l.rates[i])
		}
	}
}

// State implements [Optimizer].
func (l *grouped) State() (all []State) {
	for _, part := range l.parts {
		all = append(all, part.State()...)
	}
	return all
}

// Free implements [Optimizer].
func (l *grouped) Free() {
	for _, part := range l.parts {
		part.Free()
	}
}

// resting is the optimizer of nothing.
type resting struct{}

// Step implements [Optimizer].
func (resting) Step([]torch.Tensor, float64) {}

// State implements [Optimizer].
func (resting) State() []State { return nil }

// Free implements [Optimizer].
func (resting) Free() {}

// present leaves out missing gradients.
func present(grads []torch.Tensor) []torch.Tensor {
	if !slices.ContainsFunc(grads, func(t torch.Tensor) bool { return !t.Defined() }) {
		return grads
	}
	return slices.DeleteFunc(slices.Clone(grads), func(t torch.Tensor) bool { return !t.Defined() })
}
