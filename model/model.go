package model

import (
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Device is where the model lives.
func (m *Model) Device() torch.Device { return m.Init.Device }

// Views is the number of views of each sample in training: 2 for rules that learn without labels, whose heads give no
// answers.
func (m *Model) Views() int { return max(1, m.Rule.Views) }

// Cycles tells how often the training runs through the schedule of the learning rate.
func (m *Model) Cycles() int { return m.Schedule.Cycles(len(m.Modules())) }

// Modules are the parts of the network in order.
func (m *Model) Modules() []*local.Module { return m.Chain.Modules() }

// Term is SGR's term as a diagnosis measures it: the rule's own or, where it has none, that of the method's options, or
// else on normalised gradients with the mean over all elements.
func (m *Model) Term() *local.Reconcile {
	if t, ok := m.Rule.Term.(*local.Reconcile); ok {
		return t
	}
	if m.Spec != nil {
		return m.Spec.Method.Reconcile()
	}
	return &local.Reconcile{Lambda: 1, Normalize: true, Reduction: local.Mean}
}

// Params lists the parameters and buffers of the uncut network, then those of the local heads, and of what modules have
// besides. The model owns them.
func (m *Model) Params() []*nn.Param {
	all := m.Net.Params()
	for _, module := range m.Modules() {
		if !module.Last {
			all = append(all, nn.Params(module.Head)...)
		}
		if module.Aux != nil {
			all = append(all, nn.Params(module.Aux)...)
		}
	}
	return all
}

// RestingBytes returns what the model keeps between steps, computed from shapes.
func (m *Model) RestingBytes() int64 {
	_ = m.Chain.Residents.Settle() // an error of the store is the learner's to tell
	var sum int64
	for _, module := range m.Modules() {
		sum += module.RestingBytes()
	}
	return sum
}

// Streams reports whether only some modules are in memory at a time.
func (m *Model) Streams() bool { return m.Chain.Residents != nil }

// Begin gives the modules of a model that streams their values, one after the other: those of a new network, which fill may
// overwrite. Modules that are not in memory lie in store from then on, which must outlive the model. Without fill the store
// has all values. Before Begin such a model is good for nothing but its shapes.
func (m *Model) Begin(store local.Store, fill func(*local.Module) error) error {
	return m.Chain.Residents.Begin(store, m.Optim, fill)
}

// Each calls do for every module, in order, while the module is in memory. changes says that do changes what it holds.
func (m *Model) Each(changes bool, do func(*local.Module) error) error {
	for i, module := range m.Modules() {
		if err := m.Chain.Residents.Use(i, changes, func() error { return do(module) }); err != nil {
			return err
		}
	}
	return m.Chain.Residents.Settle()
}

// Cuts returns the names of the blocks that end modules 1 … K−1.
func (m *Model) Cuts() []string {
	var names []string
	for _, module := range m.Modules() {
		if !module.Last {
			names = append(names, module.Blocks[len(module.Blocks)-1])
		}
	}
	return names
}

// Freed reports whether the model was freed, by [Model.Free] or by a run that had taken it over.
func (m *Model) Freed() bool { return m.freed }

// Free ends the learner and releases all parameters and optimizers. It may be called again.
func (m *Model) Free() {
	m.freed = true
	m.Learner.Close()
	for _, module := range m.Modules() {
		module.Free()
	}
}
