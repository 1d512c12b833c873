// Package train turns a recipe into a run: it builds data, network and learner, drives the loop, evaluates, saves
// and resumes. The loop never sees a formula; the rules it drives never see files, progress bars or goroutines.
package train

import (
	"strings"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/mesh"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Config is a resolved recipe: every key with its value.
type Config struct {
	Name       string                `recipe:"name" default:"" doc:"of the run; empty = the recipe's own name"`
	Seed       uint64                `recipe:"seed" default:"1" unbounded:"every number is a seed" doc:"root of all randomness"`
	Device     torch.Device          `recipe:"device" default:"cpu" doc:"where tensors live: cpu, cuda or cuda:N"`
	Precision  string                `recipe:"precision" default:"fp32" oneof:"fp32 tf32 bf16" doc:"of activations; weights, statistics and losses are float32. tf32 is float32 whose products on a card round their factors"`
	Repeats    bool                  `recipe:"deterministic" default:"true" doc:"a card gives the same bits in every run; false: it chooses its kernels by trying"`
	Graphs     bool                  `recipe:"graphs" default:"false" doc:"a card takes a step as one launch, once it has recorded what it consists of; costs memory, spares the processor"`
	Threads    int                   `recipe:"threads" default:"0" min:"0" max:"1024" doc:"intra-op threads; 0 = OMP_NUM_THREADS, or all cores available"`
	Data       data.Options          `recipe:"data"`
	Model      zoo.Options           `recipe:"model"`
	Method     method.Options        `recipe:"method"`
	Head       zoo.HeadOptions       `recipe:"head"`
	Optim      optim.Options         `recipe:"optim"`
	Tune       model.TuneOptions     `recipe:"tune"`
	Loss       model.LossOptions     `recipe:"loss"`
	Schedule   optim.ScheduleOptions `recipe:"schedule"`
	Eval       EvalOptions           `recipe:"eval"`
	Probe      ProbeOptions          `recipe:"probe"`
	Diagnose   DiagnoseOptions       `recipe:"diagnose"`
	Checkpoint CheckpointOptions     `recipe:"checkpoint"`
	Serve      ServeOptions          `recipe:"serve"`
	Mesh       mesh.Options          `recipe:"mesh"`
}

// Load resolves a recipe: an embedded name, a file, or "" for the quickstart; then the assignments key=value in order.
func Load(nameOrPath string, sets []string) (Config, error) {
	c, _, err := Resolve(nameOrPath, sets)
	return c, err
}

// Resolve is [Load] that also says where each value comes from.
func Resolve(nameOrPath string, sets []string) (Config, recipe.Origins, error) {
	source, err := recipe.Open(nameOrPath)
	if err != nil {
		return Config{}, nil, err
	}
	return resolve(source, sets)
}

func resolve(source recipe.Source, sets []string) (c Config, origins recipe.Origins, err error) {
	if origins, err = source.Lay(&c); err != nil {
		return c, nil, err
	}
	for _, s := range sets {
		if err := origins.Set(&c, s, given); err != nil {
			return c, nil, err
		}
	}
	if c.Name == "" {
		c.Name, origins["name"] = source.Name, "the recipe's own"
	}
	if err := c.settle(origins); err != nil {
		return c, nil, err
	}
	return c, origins, recipe.Validate(&c)
}

// settle gives keys the values that the method decides.
func (c *Config) settle(origins recipe.Origins) error {
	method, options, err := method.Lookup(c.Method)
	if err != nil {
		return err
	}
	by := "method " + method.Name
	if options.Modules != c.Method.Modules {
		origins["method.modules"] = by
	}
	if len(options.Cuts) != len(c.Method.Cuts) {
		origins["method.cuts"] = by
	}
	if method.Head != "" {
		c.Head.Name, origins["head.name"] = method.Head, by
	}
	c.Method = options
	return nil
}

// trainedBy resolves the recipe that a network was trained by. Its data may have been a program's own, which no name finds: then
// nothing can check the keys of data, and those that ownData lists are kept.
func trainedBy(path string, doc []byte) (Config, error) {
	c := Defaults()
	if err := recipe.Recall(path, doc, &c); err != nil {
		return c, err
	}
	set := c.Data.Set
	_, unknown := data.Lookup(set)
	if unknown != nil {
		c.Data = ownData(c.Data, Defaults().Data.Set)
	}
	err := c.settle(recipe.Origins{})
	if err == nil {
		err = recipe.Validate(&c)
	}
	if err != nil {
		return c, fault.New("%s: %w", path, err)
	}
	c.Data.Set = set
	return c, nil
}

// Defaults returns the recipe before any of its keys is set.
func Defaults() Config {
	var c Config
	if err := recipe.Defaults(&c); err != nil {
		panic(err) // a default of ours that cannot be read
	}
	return c
}

// precisionOf is what a recipe calls a type of activations.
func precisionOf(d torch.DType) string {
	if d == torch.BFloat16 {
		return "bf16"
	}
	return "fp32"
}

// dtype is the type of the activations.
func (c Config) dtype() torch.DType {
	if c.Precision == "bf16" {
		return torch.BFloat16
	}
	return torch.Float32
}

// Spec is the model half of a recipe, for inputs of a data set.
func (c Config) Spec(in model.Input) model.Spec {
	return model.Spec{
		Net: c.Model, Method: c.Method, Head: c.Head, Optim: c.Optim, Tune: c.Tune, Loss: c.Loss,
		Input: in, DType: c.dtype(), Device: c.Device, Seed: c.Seed, Threads: c.Threads,
		Arithmetic: torch.Arithmetic{TF32: c.Precision == "tf32", Deterministic: c.Repeats}, Graphs: c.Graphs,
	}
}

// Model is the model of a recipe.
type Model struct {
	*model.Model
	Config Config

	filled bool // its weights were read from a file, and none was drawn
}

// NewModel builds the network of a recipe, cuts it and hands it to its method. For inference no optimizer is made. The
// caller frees the model.
func NewModel(c Config, in model.Input, inference bool) (*Model, error) {
	spec, err := plan.Settle(c.Spec(in), c.Data.Batch, c.runs())
	if err != nil {
		return nil, err
	}
	spec.Inference = inference
	return c.build(spec)
}

// runs is how many modules each process of a copy has; nil where one has all.
func (c Config) runs() (modules []int) {
	s := mesh.Shape{Data: 1, Modules: c.Mesh.Modules}
	if s.Modules < 2 || s.Modules > c.Method.Modules {
		return nil
	}
	for m := range s.Modules {
		from, end := s.Run(m, c.Method.Modules)
		modules = append(modules, end-from)
	}
	return modules
}

// loadModel is [NewModel] with the weights of a file, which the network is compared with before it is allocated.
func loadModel(c Config, in model.Input, inference bool, w *model.Weights) (*Model, error) {
	if _, auto := c.Method.Auto(); auto {
		return nil, fault.New("method.cuts is %s: must be the cuts that %s was trained with", strings.Join(c.Method.Cuts, ","), show.Name(w.Path()))
	}
	spec := c.Spec(in)
	spec.Inference, spec.Weights = inference, w
	m, err := c.build(spec)
	if err == nil {
		m.filled = !m.Streams()
	}
	return m, err
}

// build makes the model of a spec whose cuts are settled.
func (c Config) build(spec model.Spec) (*Model, error) {
	c.Method.Cuts = spec.Method.Cuts
	m, err := model.New(spec)
	if err != nil {
		return nil, err
	}
	if err := c.suits(m); err != nil {
		m.Free()
		return nil, err
	}
	return &Model{Model: m, Config: c}, nil
}

// suits returns a fault where the method cannot learn from the batches that the recipe's data makes, or cannot be diagnosed.
func (c Config) suits(m *model.Model) error {
	switch o, name := c.Data, c.Method.Name; {
	case (o.Mixup != 0 || o.CutMix != 0) && (!local.TakesSoftTargets(m.Rule.Objective) || m.Rule.Needs.Error):
		return fault.New("data.mixup is %g and data.cutmix %g: both must be 0 with method %s, which needs one class an image",
			o.Mixup, o.CutMix, name)
	case m.Rule.MultiLabel && m.Views() > 1:
		return fault.New("method.name is %s: must be another one for images that have any number of classes; it learns without labels and is measured by neighbours of one class", name)
	case m.Rule.MultiLabel && c.Diagnose.Every > 0:
		return fault.New("diagnose.every is %d: must be 0 with loss.name bce; a diagnosis compares losses of one class an image", c.Diagnose.Every)
	case c.Diagnose.Every > 0 && (len(c.Tune.Freeze) > 0 || c.Tune.HeadWarmup > 0):
		return fault.New("diagnose.every is %d: must be 0 with tune.freeze and tune.head_warmup; a diagnosis compares gradients of whole modules", c.Diagnose.Every)
	case c.Diagnose.Every > 0 && m.Streams():
		return fault.New("diagnose.every is %d: must be 0 with method.resident %d; a diagnosis needs the whole network in memory", c.Diagnose.Every, c.Method.Resident)
	case m.Views() < 2:
		return nil
	case o.Augment == data.AugmentNone:
		return fault.New("data.augment is none: must be barlow, resized-crop or crop-flip for method.name %s, which learns from two views of an image that differ", name)
	case o.Batch < 2:
		return fault.New("data.batch is %d: must be at least 2 for method.name %s, which correlates over the batch", o.Batch, name)
	case c.Diagnose.Every > 0:
		return fault.New("diagnose.every is %d: must be 0 with method %s, which learns without labels", c.Diagnose.Every, name)
	}
	return nil
}
