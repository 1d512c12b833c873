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
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
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

	loss   float64    // see LastLoss
	away   bool       // see Part
	ranks  dist.Group // see Share; nil for a module that nobody shares
	shared *shared    // a sum of gradients under way
	within *exchange  // over those ranks, in the middle of a step

	settling sync.Mutex     // keeps a worker and its caller from taking one step twice
	late     *found         // at the last step, if it has not arrived
	blocks   nn.Sequential  // of Body
	rests    bool           // see Rests
	theta    []torch.Tensor // the trainable ones among Params
}

// NewModule wires a body, a head and what the method has besides, or nil. The optimizer is made by build over the
// module's parameters, its own for good; build is nil for a module that only infers.
func NewModule(index int, last bool, blocks []nn.Block, head, aux nn.Layer, build func([]*nn.Param) optim.Optimizer) *Module {
	var body nn.Sequential
	m := &Module{Index: index, Last: last, Head: head, Aux: aux, loss: math.NaN()}
	for _, b := range blocks {
		body = append(body, b.Layer)
		m.Blocks = append(m.Blocks, b.Name)
	}
	m.Body, m.blocks = body, body
	m.Params = nn.Params(body, head, aux) // once where they share one
	m.Refresh(build)
	return m
}

// String names the module by its number and its blocks: "module 2 (layer2.0 … layer2.4)".
func (m *Module) String() string {
	switch n := len(m.Blocks); n {
	case 0:
		return fmt.Sprintf("module %d", m.Index)
	case 1:
		return fmt.Sprintf("module %d (%s)", m.Index, m.Blocks[0])
	default:
		return fmt.Sprintf("module %d (%s … %s)", m.Index, m.Blocks[0], m.Blocks[n-1])
	}
}

// Refresh must follow a change of the parameters' types or places; it makes the optimizer anew.
func (m *Module) Refresh(build func([]*nn.Param) optim.Optimizer) {
	m.theta = nn.Trainable(m.Params)
	body := nn.Params(m.Body)
	m.rests = len(body) > 0 && !slices.ContainsFunc(body, func(p *nn.Param) bool { return !p.Frozen })
	if m.Optim != nil {
		m.Optim.Free()
	}
	if build != nil {
		m.Optim = build(m.Params)
	}
}

// Device returns where the module's parameters are; the CPU if it has none.
func (m *Module) Device() torch.Device {
	if len(m.Params) == 0 || m.away {
		return torch.CPU
	}
	return m.Params[0].Value.Device()
}

// LastLoss returns the module's loss at the last step, NaN before the first. On a device other than the CPU it waits for it.
//
// There it decides how [Reconcile] takes its difference at the next step, since that step's own loss is not known yet. So it
// belongs to the state of a run: see [Module.SetLastLoss].
func (m *Module) LastLoss() float64 {
	if m.late != nil {
		m.late.arrive()
		m.loss, m.late = m.late.values[foundLoss], nil
	}
	return m.loss
}

// SetLastLoss makes a module that goes on from a checkpoint decide as it would have without the stop.
func (m *Module) SetLastLoss(loss float64) { m.loss, m.late = loss, nil }

// Theta returns the trainable parameters θ_k: body, head, and the rest. The module owns them.
func (m *Module) Theta() []torch.Tensor { return m.theta }

// RestingBytes returns what the module keeps between steps, computed from shapes: parameters, buffers and optimizer
// state. Gradients do not outlive a step.
func (m *Module) RestingBytes() int64 {
	if m.away {
		return 0
	}
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

// Part releases what the module holds, because another process has it from now on. Names and layers stay.
func (m *Module) Part() {
	m.Free()
	m.Optim, m.theta, m.away = nil, nil, true
}

// Lend gives a module that is away the values of its parameters, which it consumes, until [Module.Part]. It can compute with them
// and has nothing to learn by.
func (m *Module) Lend(values []torch.Tensor) {
	for i, p := range m.Params {
		p.Value = values[i].SetRequiresGrad(p.Trainable)
	}
	m.theta, m.away = nn.Trainable(m.Params), false
}

// Away reports whether another process has what the module holds.
func (m *Module) Away() bool { return m.away }

// Free releases parameters and optimizer.
func (m *Module) Free() {
	m.abandon()
	m.within.free()
	m.within = nil
	nn.Free(m.Params)
	if m.Optim != nil {
		m.Optim.Free()
	}
}
