// Package train turns a recipe into a run: it builds data, network and learner, drives the loop, evaluates, saves
// and resumes. The loop never sees a formula; the rules it drives never see files, progress bars or goroutines.
package train

import (
	"cmp"
	"runtime"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Config is a resolved recipe: every key with its value.
type Config struct {
	Name      string                `recipe:"name" default:"" doc:"of the run; empty = the recipe's own name"`
	Seed      uint64                `recipe:"seed" default:"1" doc:"root of all randomness"`
	Device    string                `recipe:"device" default:"cpu" oneof:"cpu" doc:"where tensors live"`
	Precision string                `recipe:"precision" default:"fp32" oneof:"fp32 bf16" doc:"of activations; weights, statistics and losses are float32"`
	Threads   int                   `recipe:"threads" default:"0" min:"0" doc:"intra-op threads; 0 = all cores available"`
	Data      data.Options          `recipe:"data"`
	Model     zoo.Options           `recipe:"model"`
	Method    local.Options         `recipe:"method"`
	Head      zoo.HeadOptions       `recipe:"head"`
	Optim     optim.Options         `recipe:"optim"`
	Schedule  optim.ScheduleOptions `recipe:"schedule"`
	Probe     ProbeOptions          `recipe:"probe"`
	Diagnose  DiagnoseOptions       `recipe:"diagnose"`
}

// Load resolves a recipe: an embedded name, a file, or "" for the quickstart; then the assignments key=value in order.
func Load(nameOrPath string, sets []string) (Config, error) {
	source, err := recipe.Open(nameOrPath)
	if err != nil {
		return Config{}, err
	}
	return decode(source, sets)
}

func decode(source recipe.Source, sets []string) (Config, error) {
	var c Config
	if err := recipe.Defaults(&c); err != nil {
		return c, err
	}
	if err := recipe.Decode(source.Path, source.Doc, &c); err != nil {
		return c, err
	}
	for _, s := range sets {
		if err := recipe.Set(&c, s); err != nil {
			return c, err
		}
	}
	c.Name = cmp.Or(c.Name, source.Name)
	method, options, err := local.Lookup(c.Method)
	if err != nil {
		return c, err
	}
	c.Method, c.Head.Name = options, cmp.Or(method.Head, c.Head.Name)
	return c, recipe.Validate(&c)
}

// dtype is the type of the activations.
func (c Config) dtype() torch.DType {
	if c.Precision == "bf16" {
		return torch.BFloat16
	}
	return torch.Float32
}

// Model is a network cut into modules, with the learner that trains it.
type Model struct {
	Config  Config
	Net     *zoo.Network
	Learner local.Learner
	Views   int // of each image in training: 2 for methods that learn without labels, whose heads give no answers
	Cycles  int // runs through the schedule of the learning rate

	chain *local.Chain     // what Learner drives
	term  *local.Reconcile // S, as a diagnosis takes it
}

// Images is what a model must know of the images that it gets.
type Images struct {
	Shape   nn.Shape
	Classes int
	Pixels  local.Pixels // how they were normalised; inference does not ask
}

// NewModel builds the network of a recipe, cuts it and hands it to its method. For inference no optimizer is made. The
// caller frees the model.
func NewModel(c Config, in Images, inference bool) (*Model, error) {
	threads := cmp.Or(c.Threads, runtime.GOMAXPROCS(0))
	torch.SetThreads(threads)
	init := nn.Init{Seed: c.Seed, Device: torch.CPU}
	method, options, err := local.Lookup(c.Method)
	if err != nil {
		return nil, err
	}
	if _, auto := options.Auto(); auto {
		if options.Cuts, err = planned(c, in); err != nil {
			return nil, err
		}
		c.Method.Cuts = options.Cuts
	}
	rule, schedule := method.Compose(options)
	if err := mixes(c.Data, method, rule); err != nil {
		return nil, err
	}
	if err := differ(c.Data, method, rule); err != nil {
		return nil, err
	}
	if rule.Views > 1 && c.Diagnose.Every > 0 {
		return nil, fault.New("diagnose.every is %d: must be 0 with method %s, which learns without labels", c.Diagnose.Every, method.Name)
	}
	build := func(params []*nn.Param) optim.Optimizer { return optim.New(c.Optim, params) }
	if inference {
		build = nil
	}
	net, err := zoo.New(c.Model, in.Shape, in.Classes, init)
	if err != nil {
		return nil, err
	}
	modules, err := cut(c, net, method, options, init, build)
	if err != nil {
		nn.Free(net.Params())
		return nil, err
	}
	if err := rule.Fits(modules); err != nil {
		for _, m := range modules {
			m.Free()
		}
		return nil, err
	}
	rule.Seed = c.Seed
	chain := local.NewChain(modules, rule, schedule, c.dtype())
	chain.Pixels = in.Pixels
	m := &Model{
		Config: c, Net: net, Views: rule.Views, Cycles: schedule.Cycles(len(modules)),
		chain: chain, term: options.Reconcile(),
	}
	if m.Learner = chain; options.Pipeline > 0 && !inference {
		m.Learner = local.NewPipeline(chain, options.Pipeline, threads)
	}
	return m, nil
}

// mixes returns a fault where images are mixed, whose targets are soft, and the method needs the class of each.
func mixes(o data.Options, method local.Method, rule local.Rule) error {
	if o.Mixup == 0 && o.CutMix == 0 || soft(rule.Objective) && !rule.Needs.Error {
		return nil
	}
	return fault.New("data.mixup is %g and data.cutmix %g: both must be 0 with method %s, which needs one class an image",
		o.Mixup, o.CutMix, method.Name)
}

// soft reports whether an objective takes soft targets.
func soft(o local.Objective) bool {
	if infopro, ok := o.(local.InfoPro); ok {
		return soft(infopro.Task)
	}
	_, ok := o.(local.Classify)
	return ok
}

// differ returns a fault where a method learns from two views of an image, or from how images of a batch differ, and they
// do not.
func differ(o data.Options, method local.Method, rule local.Rule) error {
	switch {
	case rule.Views < 2:
		return nil
	case o.Augment == data.AugmentNone:
		return fault.New("data.augment is none: must be barlow, resized-crop or crop-flip for method.name %s, which learns from two views of an image that differ", method.Name)
	case o.Batch < 2:
		return fault.New("data.batch is %d: must be at least 2 for method.name %s, which correlates over the batch", o.Batch, method.Name)
	}
	return nil
}

// cut divides a network into modules with local heads; the last module gets the network's own classifier, unless the
// method puts its own head in that place.
func cut(c Config, net *zoo.Network, method local.Method, o local.Options, init nn.Init, build func([]*nn.Param) optim.Optimizer) (modules []*local.Module, err error) {
	if method.Fits != nil {
		if err := method.Fits(net.Blocks, net.Classifier); err != nil {
			return nil, err
		}
	}
	ends, err := method.Ends(net.Blocks, net.Cuts, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			for _, m := range modules {
				m.Free()
			}
		}
	}()
	kind, err := zoo.LookupHead(cmp.Or(method.Head, c.Head.Name), method.Head != "")
	if err != nil {
		return nil, err
	}
	from := 0
	for i, end := range ends {
		head, last := net.Classifier, i == len(ends)-1
		at := zoo.Cut{Net: net, Module: i + 1, Modules: len(ends), End: end}
		if !last || method.LastHead {
			if head, err = kind.New(c.Head, at, init); err != nil {
				return modules, err
			}
		}
		aux, err := zoo.NewAux(method.Aux, at, init)
		if err != nil {
			nn.Free(head.Params())
			return modules, err
		}
		if last && method.LastHead {
			nn.Free(net.Classifier.Params())
			net.Classifier = head
		}
		m := local.NewModule(i+1, last, net.Blocks[from:end], head, aux, build)
		m.Embeds = kind.Embeds && (!last || method.LastHead)
		modules = append(modules, m)
		from = end
	}
	return modules, nil
}

// Params lists the parameters of the uncut network, then those of the local heads, and of what modules have besides.
func (m *Model) Params() []*nn.Param {
	all := m.Net.Params()
	for _, module := range m.Learner.Modules() {
		if !module.Last {
			all = append(all, module.Head.Params()...)
		}
		if module.Aux != nil {
			all = append(all, module.Aux.Params()...)
		}
	}
	return all
}

// RestingBytes returns what the model keeps between steps, computed from shapes.
func (m *Model) RestingBytes() int64 {
	var sum int64
	for _, module := range m.Learner.Modules() {
		sum += module.RestingBytes()
	}
	return sum
}

// Cuts returns the names of the blocks that end modules 1 … K−1.
func (m *Model) Cuts() []string {
	var names []string
	for _, module := range m.Learner.Modules() {
		if !module.Last {
			names = append(names, module.Blocks[len(module.Blocks)-1])
		}
	}
	return names
}

// Free ends the learner and releases all parameters and optimizers.
func (m *Model) Free() {
	m.Learner.Close()
	for _, module := range m.Learner.Modules() {
		module.Free()
	}
}
