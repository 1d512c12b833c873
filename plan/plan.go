// Package plan predicts the memory of a training step from its parts, and chooses where to cut a network.
//
// Every block, and the head at every possible cut, is run once forward and backward on its own, at two small batch sizes.
// Peaks of live bytes are lines in the batch; laid one after the other as a step does, they give the peak of any module,
// at any batch. See docs/memory.md.
package plan

import (
	"fmt"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Options say how much is measured.
type Options struct {
	Most    int // the largest batch worth measuring, that of the plan where it is known; 0: any
	Timings int // of each part, of which the shortest counts; the first is slow where nothing ran before; 0: 1

	// Measured, where it is not nil, is told after each part how many have been measured. An error of its own ends what the
	// planner is asked, which returns it.
	Measured func(parts int) error

	Blocks Lines // of the same network, from planners with the same options, and for them; nil: none
}

// Planner measures parts when it first needs them. It belongs to one goroutine.
type Planner struct {
	o           Options
	method      method.Method
	spec        model.Spec          // with the method's options settled
	parts       model.Parts         // without optimizers
	term        bool                // SGR's
	checkpoints *local.Checkpointed // inside modules; nil: none
	blocks      []*block
	lines       Lines // of objectives
	objectives  map[objectiveKey]*objective
	batch       int // of the steps
	steps       map[stepKey]estimate
}

// block is a block with what a planner finds out of it first.
type block struct {
	nn.Block
	in     nn.Shape
	first  bool
	behind bool // what it gets a convolution can make again: [torch.Tensor.Remakable]
	id     int  // the same for blocks that cost the same
	rest   resting
	sample int64
	held
}

// held says what becomes of a block's in- and output.
type held struct {
	keepsIn, keepsOut bool // for backward
	remakable         bool // the output
}

// objective is what follows a module's body, as a module of its own without one.
type objective struct {
	module *local.Module
	in     nn.Shape
	rest   resting
	err    error // why there can be no cut here
}

// objectiveKey says what an objective depends on: features and classes, and for heads that mirror the network the place too.
type objectiveKey struct {
	in         nn.Shape
	last       bool
	end, k, of int
}

// resting is what parameters and optimizer keep between steps, and the bytes of their gradients.
type resting struct{ params, optim, grads int64 }

func (r resting) plus(o resting) resting {
	return resting{r.params + o.params, r.optim + o.optim, r.grads + o.grads}
}

// Module is the prediction for one module.
type Module struct {
	Blocks          []string `json:"blocks"`
	ActivationBytes int64    `json:"activation_bytes"` // peak − resting bytes of the network, while this module trains
	ParameterBytes  int64    `json:"parameter_bytes"`  // of its parameters and buffers
	OptimizerBytes  int64    `json:"optimizer_bytes"`
	SecondsPerStep  float64  `json:"seconds_per_step"` // on this machine: forward and backward, in lock-step
	LinkBytes       int64    `json:"link_bytes"`       // of the signal for the next module, a batch; 0 behind the last one
}

// Prediction is what a step takes.
type Prediction struct {
	Batch           int      `json:"batch"`
	Cuts            []string `json:"cuts"`
	Modules         []Module `json:"modules"`
	ActivationBytes int64    `json:"activation_bytes"` // of the largest module
	RestingBytes    int64    `json:"resting_bytes"`
	PeakBytes       int64    `json:"peak_bytes"` // both; where modules come and go, of what is in memory

	Streaming *Streaming `json:"streaming,omitempty"` // nil where all modules are in memory
}

// Seconds is the time of the modules one after the other, a step in lock-step without the optimizers.
func (r Prediction) Seconds() (sum float64) {
	for _, m := range r.Modules {
		sum += m.SecondsPerStep
	}
	return sum
}

// New builds the network of a spec, with weights of its own, to measure on. It returns a fault for what cannot be
// predicted. The caller frees the planner.
func New(spec model.Spec, o Options) (planner *Planner, err error) {
	defer torch.Catch(&err)
	defer catchStop(&err)
	o.Timings = max(1, o.Timings)
	if o.Blocks == nil {
		o.Blocks = Lines{}
	}
	spec.Seed, spec.Inference = 1, true
	resident := spec.Method.Resident
	p := &Planner{o: o, lines: Lines{}, objectives: map[objectiveKey]*objective{}}
	if p.method, spec.Method, err = method.Lookup(spec.Method); err != nil {
		return nil, err
	}
	if err := p.fits(spec.Method); err != nil {
		return nil, err
	}
	spec.Method.Resident, spec.Later = 0, true // what is measured is in memory, and nothing else
	if p.parts, err = spec.Parts(); err != nil {
		return nil, err
	}
	p.spec = *p.parts.Spec
	p.parts.Resident, p.spec.Method.Resident = 0, resident
	p.prepare()
	return p, nil
}

// fits refuses methods whose steps are not laid out as [Planner.step] has it.
func (p *Planner) fits(o method.Options) error {
	m := p.method
	rule, _ := m.Compose(o)
	var none bool
	switch t := rule.Term.(type) {
	case local.None:
		none = true
	case *local.Reconcile:
		p.term = t.Lambda > 0
		none = p.term && t.Gradient != local.Double && (t.Fraction == 0 || t.Fraction == 1)
	}
	_, autograd := rule.Credit.(local.Autograd)
	p.checkpoints = nil
	if c, ok := rule.Credit.(local.Checkpointed); ok {
		p.checkpoints, autograd = &c, true
	}
	switch {
	case m.Cut == method.Everywhere || rule.Closed || rule.Needs.Error || rule.Reforward:
		return fault.New("method.name is %s: its memory cannot be planned; must be a method whose modules learn by back-propagation, such as sgr", m.Name)
	case p.checkpoints != nil && rule.Views > 1:
		return fault.New("method.checkpoint is %s: must be none where the memory of method.name %s is planned, whose modules see two views", o.Checkpoint, m.Name)
	case !autograd:
		return fault.New("method.name is %s: its memory cannot be planned; must be a method such as sgr", m.Name)
	case !none:
		return fault.New("memory is planned for SGR's term on the whole batch: method.lambda must be above 0, method.fraction 1, and method.gradient auto, directional or tangent")
	}
	return nil
}

// prepare finds out what does not depend on the kind of pass.
func (p *Planner) prepare() {
	in, behind := p.parts.Net.Input, false
	known := map[string]*block{}
	for i, nb := range p.parts.Net.Blocks {
		b := &block{Block: nb, in: in, first: i == 0, behind: behind, id: i}
		sign := fmt.Sprint(signature(nb.Layer, in), behind)
		if like := known[sign]; like != nil && !like.first { // the first gets images, not features
			b.id, b.rest, b.held, b.sample = like.id, like.rest, like.held, like.sample
		} else {
			b.rest = p.resting(nn.Params(nb.Layer))
			var bytes int64
			b.held, bytes = p.keeps(b, 2, p.spec.DType)
			b.sample = bytes / 2
			known[sign] = b
		}
		p.blocks = append(p.blocks, b)
		in, behind = nb.Out, b.remakable
	}
}

func (p *Planner) resting(params []*nn.Param) (r resting) {
	defer bring(params)()
	for _, q := range params {
		r.params += q.Value.Bytes()
	}
	for _, t := range nn.Trainable(params) {
		r.grads += t.Bytes()
	}
	o := optim.New(p.spec.Optim, params)
	defer o.Free()
	for _, s := range o.State() {
		r.optim += s.Value.Bytes()
	}
	return r
}

// bring gives parameters their values until the function that it returns is called: of the network, no more is in memory
// than what is being measured.
func bring(params []*nn.Param) (leave func()) {
	for _, q := range params {
		q.Begin()
	}
	return func() {
		for _, q := range params {
			q.Value.Leave()
		}
	}
}

// Free releases the network and the heads.
func (p *Planner) Free() {
	for _, t := range p.objectives {
		if t.module != nil {
			p.parts.FreeAdded(t.module)
		}
	}
	p.parts.Net.Free()
}

// Divides reports whether the method cuts the network at all.
func (p *Planner) Divides() bool { return p.method.Cut != method.Nowhere }

// views of each image in a batch.
func (p *Planner) views() int { return max(1, p.parts.Rule.Views) }

// Blocks is the number of blocks, the largest number of modules.
func (p *Planner) Blocks() int { return len(p.blocks) }

// objective returns what follows the module k of K that ends in front of block end.
func (p *Planner) objective(end, k, of int) *objective {
	key := objectiveKey{in: p.blocks[end-1].Out, last: end == len(p.blocks)}
	if !key.last && p.parts.MirrorsNet {
		key.end, key.k, key.of = end, k, of
	}
	t := p.objectives[key]
	if t == nil {
		t = &objective{in: p.blocks[end-1].Out}
		if t.module, t.err = p.parts.Module(end, zoo.Cut{Net: p.parts.Net, Module: k, Modules: of, End: end}); t.err == nil {
			t.rest = p.resting(t.module.Params)
		}
		p.objectives[key] = t
	}
	return t
}
