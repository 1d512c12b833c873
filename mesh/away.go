package mesh

import (
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
)

// Away is a tensor of a module that another rank has.
type Away struct {
	Name  string
	DType torch.DType
	Shape []int64

	module, index int
	state         bool
}

// remember notes what there is on other ranks while this one still has it.
func (l *Leader) remember() {
	for i, m := range l.chain.Modules() {
		if i >= l.crew.from && i < l.crew.end {
			continue
		}
		for k, p := range m.Params {
			l.away[p.Name] = Away{p.Name, p.Value.DType(), p.Value.Shape(), m.Index, k, false}
		}
		if m.Optim == nil {
			continue
		}
		for k, s := range m.Optim.State() {
			l.states = append(l.states, Away{s.Name, s.Value.DType(), s.Value.Shape(), m.Index, k, true})
		}
	}
}

// Param returns what is known of a parameter that another rank has.
func (l *Leader) Param(name string) (Away, bool) {
	a, ok := l.away[name]
	return a, ok
}

// States lists the tensors of the optimizers of other ranks, in the order of the modules.
func (l *Leader) States() []Away { return l.states }

// Fetch asks for the bytes of a tensor on another rank. The network must be empty.
func (l *Leader) Fetch(a Away) ([]byte, error) {
	t, err := l.fetch(a)
	if err != nil {
		return nil, err
	}
	defer t.Free()
	return t.Data(), nil
}

// fetch asks for a tensor on another rank, which the caller owns.
func (l *Leader) fetch(a Away) (torch.Tensor, error) {
	if l.err != nil {
		return torch.Tensor{}, l.err
	}
	if err := l.forward(message{kind: fetches, rest: rest{Module: a.module, Index: a.index, State: a.state}}, local.Signal{}); err != nil {
		return torch.Tensor{}, l.fail(err)
	}
	r, err := l.await(fetches)
	return r.tensor, err
}

// Borrow lends rank 0's chain what other ranks hold of the network, as it is now, until release is called: for something that needs
// the whole of it in one process, and the memory for that. The network must be empty.
func (l *Leader) Borrow() (release func(), err error) {
	var lent []*local.Module
	release = func() {
		for _, m := range lent {
			m.Part()
		}
		lent = nil
	}
	for _, m := range l.chain.Modules() {
		if !m.Away() {
			continue
		}
		var values []torch.Tensor
		for _, p := range m.Params {
			v, err := l.fetch(l.away[p.Name])
			if err != nil {
				dist.Parcel{Tensors: values}.Free()
				release()
				return nil, err
			}
			values = append(values, v)
		}
		m.Lend(values)
		lent = append(lent, m)
	}
	return release, nil
}
