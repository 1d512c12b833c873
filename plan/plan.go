// Package plan predicts the memory of a training step from its pieces, and chooses where to cut a network.
//
// Every block, and the head at every possible cut, is run once forward and backward on its own, at two small batch sizes.
// Peaks of live bytes are lines in the batch; laid one after the other as a step does, they give the peak of any module,
// at any batch. See docs/memory.md.
package plan

import (
	"cmp"
	"fmt"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Spec is what a plan depends on.
type Spec struct {
	Model   zoo.Options
	Head    zoo.HeadOptions
	Method  local.Options
	Optim   optim.Options
	DType   torch.DType // of the activations
	Input   nn.Shape    // of one image
	Classes int
	Most    int // the largest batch worth measuring, that of the plan where it is known; 0: any
	Timings int // of each piece, of which the shortest counts; the first is slow where nothing ran before
}

// Planner measures pieces when it first needs them. It belongs to one goroutine.
type Planner struct {
	spec   Spec
	whole  bool // the method does not cut
	rule   local.Rule
	term   bool // SGR's
	head   zoo.Head
	own    bool // the head takes the classifier's place, too
	aux    string
	net    *zoo.Network
	blocks []*block
	lines  map[piece]line
	tails  map[tailKey]*tail
	batch  int // of the steps
	steps  map[stepKey]estimate
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

// tail is what follows a module's body, as a module of its own without one.
type tail struct {
	module *local.Module
	in     nn.Shape
	rest   resting
	err    error // why there can be no cut here
}

// tailKey says what a tail depends on: features and classes, and for heads that mirror the network the place too.
type tailKey struct {
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
}

// Prediction is what a step takes.
type Prediction struct {
	Batch           int      `json:"batch"`
	Cuts            []string `json:"cuts"`
	Modules         []Module `json:"modules"`
	ActivationBytes int64    `json:"activation_bytes"` // of the largest module
	RestingBytes    int64    `json:"resting_bytes"`
	PeakBytes       int64    `json:"peak_bytes"` // both
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
func New(spec Spec) (planner *Planner, err error) {
	defer catch(&err)
	method, options, err := local.Lookup(spec.Method)
	if err != nil {
		return nil, err
	}
	p := &Planner{spec: spec, whole: method.Cut == local.Nowhere, own: method.LastHead, aux: method.Aux, lines: map[piece]line{}, tails: map[tailKey]*tail{}}
	p.rule, _ = method.Compose(options)
	if err := p.fits(method, options); err != nil {
		return nil, err
	}
	if p.head, err = zoo.LookupHead(cmp.Or(method.Head, spec.Head.Name), method.Head != ""); err != nil {
		return nil, err
	}
	if p.net, err = zoo.New(spec.Model, spec.Input, spec.Classes, nn.Init{Seed: 1, Device: torch.CPU}); err != nil {
		return nil, err
	}
	if method.Fits != nil {
		if err := method.Fits(p.net.Blocks, p.net.Classifier); err != nil {
			p.Free()
			return nil, err
		}
	}
	p.prepare()
	return p, nil
}

// catch turns a panic of libtorch, of memory that is not there for instance, into an error.
func catch(err *error) {
	switch p := recover().(type) {
	case nil:
	case *torch.Error:
		*err = p
	default:
		panic(p)
	}
}

// fits refuses methods whose steps are not laid out as [Planner.step] has it.
func (p *Planner) fits(m local.Method, o local.Options) error {
	var none bool
	switch t := p.rule.Term.(type) {
	case local.None:
		none = true
	case *local.Reconcile:
		p.term = t.Lambda > 0
		none = p.term && t.Gradient != local.Double && (t.Fraction == 0 || t.Fraction == 1)
	}
	_, autograd := p.rule.Credit.(local.Autograd)
	switch {
	case m.Cut == local.Everywhere || p.rule.Closed || p.rule.Needs.Error || p.rule.Reforward:
		return fault.New("method.name is %s: its memory cannot be planned; must be a method whose modules learn by back-propagation, such as sgr", m.Name)
	case o.Checkpoint == "blocks":
		return fault.New("method.checkpoint is blocks: must be none where memory is planned")
	case !autograd:
		return fault.New("method.name is %s: its memory cannot be planned; must be a method such as sgr", m.Name)
	case !none:
		return fault.New("memory is planned for SGR's term on the whole batch: method.lambda must be above 0, method.fraction 1, and method.gradient auto, directional or tangent")
	}
	return nil
}

// prepare finds out what does not depend on the kind of pass.
func (p *Planner) prepare() {
	in, behind := p.net.Input, false
	known := map[string]*block{}
	for i, nb := range p.net.Blocks {
		b := &block{Block: nb, in: in, first: i == 0, behind: behind, id: i}
		sign := fmt.Sprint(signature(nb.Layer, in), behind)
		if like := known[sign]; like != nil && !like.first { // the first gets images, not features
			b.id, b.rest, b.held, b.sample = like.id, like.rest, like.held, like.sample
		} else {
			b.rest = p.resting(nb.Layer.Params())
			var bytes int64
			b.held, bytes = keeps(b, 2, p.spec.DType)
			b.sample = bytes / 2
			known[sign] = b
		}
		p.blocks = append(p.blocks, b)
		in, behind = nb.Out, b.remakable
	}
}

func (p *Planner) resting(params []*nn.Param) (r resting) {
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

// Free releases the network and the heads.
func (p *Planner) Free() {
	if p.net == nil {
		return
	}
	for _, t := range p.tails {
		if t.module != nil && (p.own || !t.module.Last) {
			t.module.Free()
		}
	}
	nn.Free(p.net.Params())
}

// views of each image in a batch.
func (p *Planner) views() int { return max(1, p.rule.Views) }

// Blocks is the number of blocks, the largest number of modules.
func (p *Planner) Blocks() int { return len(p.blocks) }

// tail returns what follows the module k of K that ends in front of block end.
func (p *Planner) tail(end, k, of int) *tail {
	key := tailKey{in: p.blocks[end-1].Out, last: end == len(p.blocks)}
	if !key.last && p.head.Name == "auglocal" {
		key.end, key.k, key.of = end, k, of
	}
	t := p.tails[key]
	if t == nil {
		t = p.newTail(end, k, of)
		p.tails[key] = t
	}
	return t
}

func (p *Planner) newTail(end, k, of int) *tail {
	t := &tail{in: p.blocks[end-1].Out}
	init := nn.Init{Seed: 1, Device: torch.CPU}
	at := zoo.Cut{Net: p.net, Module: k, Modules: of, End: end}
	last := end == len(p.blocks)
	head := p.net.Classifier
	var aux nn.Layer
	if !last || p.own {
		if head, t.err = p.head.New(p.spec.Head, at, init); t.err != nil {
			return t
		}
	}
	if !last {
		if aux, t.err = zoo.NewAux(p.aux, at, init); t.err != nil {
			nn.Free(head.Params())
			return t
		}
	}
	t.module = local.NewModule(k, last, nil, head, aux, nil)
	t.module.Of = of
	t.rest = p.resting(t.module.Params)
	return t
}
