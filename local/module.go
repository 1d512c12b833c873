// Package local trains a network in modules, each by its own loss: no gradient crosses a cut.
//
// A module is a worker, and what passes between workers is a [Signal]. How a module learns is a [Rule], a composition:
//
//	Objective   the loss L_k of the module on its own
//	Term        what is added to it: nothing, or the reconciliation of neighbouring gradients (SGR)
//	Credit      where gradients come from
//	Schedule    who trains when
//
// A named [Method] is a point in this space. A [Chain] drives the modules of a network in lock-step, a [Pipeline] lets
// them work at the same time; what they learn is the same.
// Equations and sections are those of Yang et al., "Towards Interpretable Deep Local Learning with Successive
// Gradient Reconciliation", ICML 2024.
package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// Module is one gradient-isolated part of a network: f(x_{k−1}; θ_k) with a local head.
type Module struct {
	Index  int // k, from 1
	Of     int // K; set by the [Chain] that drives the module
	Last   bool
	Blocks []string // names of the blocks in Body
	Body   nn.Layer // x_{k−1} → x_k
	Head   nn.Layer // x_k → logits
	Embeds bool     // the head puts out an embedding instead, and so has no accuracy
	Aux    nn.Layer // what the objective or the credit has besides, a decoder for instance; nil in most methods
	Params []*nn.Param
	Optim  optim.Optimizer // nil in a module that only infers

	blocks nn.Sequential  // of Body
	theta  []torch.Tensor // the trainable ones among Params
}

// NewModule wires a body, a head and what the method has besides, or nil. The optimizer is made by build over the
// module's parameters, its own for good; build is nil for a module that only infers.
func NewModule(index int, last bool, blocks []nn.Block, head, aux nn.Layer, build func([]*nn.Param) optim.Optimizer) *Module {
	var body nn.Sequential
	m := &Module{Index: index, Last: last, Head: head, Aux: aux}
	for _, b := range blocks {
		body = append(body, b.Layer)
		m.Blocks = append(m.Blocks, b.Name)
	}
	m.Body, m.blocks = body, body
	m.Params = append(body.Params(), head.Params()...)
	if aux != nil {
		m.Params = append(m.Params, aux.Params()...)
	}
	m.Refresh(build)
	return m
}

// Refresh must follow a change of the parameters' types or places; it makes the optimizer anew.
func (m *Module) Refresh(build func([]*nn.Param) optim.Optimizer) {
	m.theta = nn.Trainable(m.Params)
	if m.Optim != nil {
		m.Optim.Free()
	}
	if build != nil {
		m.Optim = build(m.Params)
	}
}

// Theta returns the trainable parameters θ_k: body, head, and the rest. The module owns them.
func (m *Module) Theta() []torch.Tensor { return m.theta }

// RestingBytes returns what the module keeps between steps, computed from shapes: parameters, buffers and optimizer
// state. Gradients do not outlive a step.
func (m *Module) RestingBytes() int64 {
	var sum int64
	for _, p := range m.Params {
		sum += p.Value.Bytes()
	}
	if m.Optim != nil {
		for _, s := range m.Optim.State() {
			sum += s.Value.Bytes()
		}
	}
	return sum
}

// Free releases parameters and optimizer.
func (m *Module) Free() {
	nn.Free(m.Params)
	if m.Optim != nil {
		m.Optim.Free()
	}
}

// Signal is what a module hands to the next one. The receiver owns it. Where a rule asks for two views of each sample,
// X, Delta and Image are [2N, …], all first views in front of all second ones.
type Signal struct {
	X     torch.Tensor // features x_{k−1}, cut from their graph: [N, …]
	Y     torch.Tensor // labels [N], int64; for Classify also soft targets [N, classes], float32
	Delta torch.Tensor // ∂L_{k−1}/∂x_{k−1}, a constant, shaped as X; no tensor where no term reads it

	// What a rule's [Needs] ask for, the same in front of every module; no tensor elsewhere.
	Image torch.Tensor // x_0 before it was normalised, in [0, 1]
	Error torch.Tensor // softmax of the network's logits less the one-hot labels, [N, classes] in float32 or better

	Mod torch.Tensor // features of a second pass, on a modulated input, shaped as X; where the credit makes one
}

func (s Signal) tensors() []torch.Tensor {
	return []torch.Tensor{s.X, s.Y, s.Delta, s.Image, s.Error, s.Mod}
}

// samples returns N.
func (s Signal) samples() int64 { return s.Y.Shape()[0] }

// rows returns a signal of the first n samples, with all their views, copies that scope sc owns.
func (s Signal) rows(sc *torch.Scope, n int64) Signal {
	all := s.samples()
	take := func(t torch.Tensor) torch.Tensor {
		if !t.Defined() {
			return t
		}
		first := sc.Narrow(t, 0, 0, n)
		defer first.Free()
		if t.Shape()[0] == all {
			return sc.Clone(first)
		}
		second := sc.Narrow(t, 0, all, n)
		defer second.Free()
		return sc.Cat(first, second, 0)
	}
	return Signal{X: take(s.X), Y: take(s.Y), Delta: take(s.Delta), Image: take(s.Image), Error: take(s.Error), Mod: take(s.Mod)}
}

// Free releases what the signal still holds.
func (s Signal) Free() {
	for _, t := range s.tensors() {
		t.Free()
	}
}
