// Package model is the one place where a network is cut into modules, and where its modules get what their method needs:
// heads, decoders or feedback, optimizers, a rule, and the learner that drives them.
//
// There are two ways in. [New] takes names, as a recipe has them. [Of] takes the parts themselves: a network, a rule and
// heads of one's own.
package model

import (
	"cmp"
	"math"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Spec says by names and numbers which network is built, how it is cut and how it learns. A zero that its key in a recipe
// does not allow means the default; every other value has the bounds that it has there.
type Spec struct {
	Net    zoo.Options     `recipe:"model"`
	Method method.Options  `recipe:"method"`
	Head   zoo.HeadOptions `recipe:"head"`
	Optim  optim.Options   `recipe:"optim"` // of every module
	Tune   TuneOptions     `recipe:"tune"`
	Loss   LossOptions     `recipe:"loss"`

	Input      Input            `recipe:"-"`
	DType      torch.DType      `recipe:"-"` // of the activations
	Device     torch.Device     `recipe:"-"`
	Arithmetic torch.Arithmetic `recipe:"-"` // of CUDA devices, for the whole process
	Graphs     bool             `recipe:"-"` // the device records steps and launches them: see [local.Recorded]
	Seed       uint64           `recipe:"-"` // root of the parameters' values and of what layers draw in training
	Threads    int              `recipe:"-"` // that an operation may use; 0: all cores
	Inference  bool             `recipe:"-"` // no optimizers are made, and no pipeline
	Later      bool             `recipe:"-"` // parameters have no values before they are begun: see [nn.Param.Begin]
	Weights    *Weights         `recipe:"-"` // values of all parameters and buffers, in place of drawn ones; nil: they are drawn
}

// Input is what a network must know of the samples that it gets.
type Input struct {
	Shape      nn.Shape  // of one sample
	Classes    int       // number of labels
	Counts     []int     // training samples that have each class; nil where nobody knows
	Samples    int       // training samples; 0 where nobody knows
	MultiLabel bool      // a sample has any number of classes
	Mean, Std  []float64 // how images in [0, 1] were normalised, one value a channel; empty where they were not
}

// check returns a fault where there can be no such samples.
func (in Input) check() error {
	x := in.Shape
	if x.C < 1 || x.H < 0 || x.W < 0 || x.Tokens < 0 {
		return fault.New("samples of %d×%d×%d, %d tokens: must have a channel at least, and no negative side", x.C, x.H, x.W, x.Tokens)
	}
	if in.Classes < 1 {
		return fault.New("%d classes: must be at least 1", in.Classes)
	}
	return nil
}

// Defaults returns the spec that a recipe has before any of its keys is set, for float32 on the CPU and seed 1. The input
// is left to the caller.
func Defaults() Spec {
	s := Spec{DType: torch.Float32, Device: torch.CPU, Arithmetic: torch.Arithmetic{Deterministic: true}, Seed: 1}
	if err := recipe.Defaults(&s); err != nil {
		panic(err) // a default of ours that cannot be read
	}
	return s
}

// New builds the network of a spec, cuts it and hands it to its method. The caller frees the model.
//
// With weights, every parameter is compared with the file's header before it is allocated, and none is drawn. So a file from
// elsewhere takes no more memory than its own tensors do.
//
// What a user can mend is a fault that names the recipe's key. Cuts must be given or counted; those that are to be chosen
// by measuring ("auto") are settled before, by package plan.
func New(s Spec) (*Model, error) {
	parts, err := s.Parts()
	if err != nil {
		return nil, err
	}
	m, err := Of(parts)
	if err != nil {
		return nil, err
	}
	if err := parts.Spec.Tune.learns(m); err != nil && !s.Inference {
		m.Free()
		return nil, err
	}
	if s.Weights == nil {
		return m, err
	}
	if !m.Streams() { // which is filled when it begins
		if err := s.Weights.Fill(m.Params()); err != nil {
			m.Free()
			return nil, err
		}
	}
	m.Init.Stored = nil
	return m, nil
}

// Parts resolves the names and builds the uncut network, which the caller owns until it is given to [Of].
func (s Spec) Parts() (p Parts, err error) {
	if err := recipe.Complete(&s); err != nil {
		return p, err
	}
	threads := torch.SetThreads(s.Threads)
	if err := s.Device.Available(); err != nil {
		return p, fault.New("device is %v: %v; device=cpu does without, 'locus doctor' shows what there is", s.Device, err)
	}
	torch.SetArithmetic(s.Arithmetic)
	m, options, err := method.Lookup(s.Method)
	if err != nil {
		return p, err
	}
	head, err := zoo.LookupHead(cmp.Or(m.Head, s.Head.Name), m.Head != "")
	if err != nil {
		return p, err
	}
	if _, err := zoo.LookupModel(s.Net.Name); err != nil {
		return p, err
	}
	if err := s.Input.check(); err != nil {
		return p, err
	}
	s.Method, s.Head.Name = options, head.Name
	if err := recipe.Validate(&s); err != nil {
		return p, err
	}
	p = Parts{
		Init: s.init(), DType: s.DType,
		Head: func(at zoo.Cut, init nn.Init) (nn.Layer, error) { return head.New(s.Head, at, init) },
		Aux:  func(at zoo.Cut, init nn.Init) (nn.Layer, error) { return zoo.NewAux(m.Aux, at, init) },

		LastHead: m.LastHead, Embeds: head.Embeds, MirrorsNet: head.Mirrors,
		Pixels: local.Pixels{Mean: s.Input.Mean, Std: s.Input.Std}, Threads: threads, Spec: &s,
		Resident: options.Resident, Visit: options.Visit,
	}
	if s.Weights != nil {
		p.Init.Stored = s.Weights.stored(m.LastHead)
		s.Weights = nil // the spec that is kept outlives the open file
	}
	if s.Arithmetic.TF32 && options.Pipeline > 0 {
		return p, fault.New("precision is tf32: must be fp32 or bf16 with method.pipeline; modules that compute at the same time share the arithmetic")
	}
	p.Rule, p.Schedule = m.Compose(options)
	p.Rule.Seed, p.Rule.MultiLabel = s.Seed, s.Input.MultiLabel
	if !s.Inference {
		if err = s.Loss.apply(&p.Rule, m, s.Input); err != nil {
			return p, err
		}
	}
	if p.Schedule, err = s.Tune.schedule(m, p.Schedule); err != nil {
		return p, err
	}
	if !s.Inference {
		p.Pipeline, p.Graphs = options.Pipeline, s.Graphs
	}
	if p.Graphs && s.Device == torch.CPU {
		return p, fault.New("graphs is true: must be false with device cpu, which has nothing to record; device=cuda has")
	}
	if p.Net, err = zoo.New(s.Net, s.Input.Shape, s.Input.Classes, p.Init); err != nil {
		return p, err
	}
	if m.Fits != nil {
		if err = m.Fits(p.Net.Blocks, p.Net.Classifier); err != nil {
			p.Net.Free()
			return p, err
		}
	}
	if err = s.Tune.apply(&p); err != nil {
		p.Net.Free()
		return p, err
	}
	if !s.Inference {
		groups := s.Tune.groups(p.Net)
		p.Optim = func(params []*nn.Param) optim.Optimizer { return optim.NewGrouped(s.Optim, params, groups) }
	}
	if _, auto := options.Auto(); auto { // the caller chooses; see package plan
		return p, nil
	}
	if p.Ends, err = m.Ends(p.Net.Blocks, p.Net.Cuts, options); err != nil {
		p.Net.Free()
	}
	return p, err
}

// init makes parameters: of modules that come and go when they first come, whatever all of them take together.
func (s *Spec) init() nn.Init {
	i := nn.Init{Seed: s.Seed, Device: s.Device, Room: zoo.Room()}
	if s.Later || s.Method.Resident > 0 {
		i.Later, i.Room = true, nn.NewRoom(math.MaxInt64)
	}
	return i
}
