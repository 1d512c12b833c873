package method

import (
	"strconv"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
)

// Options is the `method` section of a recipe.
//
// In a program, zeros that would mean nothing are the defaults: Reduction, Gradient, Checkpoint, Signals, OutputError, Every, Fraction,
// Feedback and, without Cuts, Modules. [Lookup] settles them and refuses what a recipe may not have.
type Options struct {
	Name       string   `recipe:"name" default:"sgr" oneof:"@" doc:"how the network learns; 'locus list methods' shows them"`
	Modules    int      `recipe:"modules" default:"3" min:"1" max:"4096" doc:"K, the number of gradient-isolated modules; bp and fa have one, methods without back-propagation one a block"`
	Cuts       []string `recipe:"cuts" default:"" doc:"blocks that end modules 1 to K-1; wins over modules; auto = the modules with the least peak memory, auto:time = the most even time, for a pipeline or for processes"`
	Pipeline   int      `recipe:"pipeline" default:"0" min:"0" max:"1024" doc:"batches in flight through modules that work at the same time; 0 = one after the other, in lock-step"`
	Resident   int      `recipe:"resident" default:"0" min:"0" max:"4096" doc:"modules in memory at a time, the others waiting in files; 0 = all"`
	Visit      int      `recipe:"visit" default:"8" min:"1" max:"4096" doc:"with resident: batches that a module trains on before the next one comes"`
	Spill      string   `recipe:"spill" default:"" doc:"with resident: folder in which modules wait; empty = the run folder, memory = the host's memory, beside a card"`
	Signals    string   `recipe:"signals" default:"memory" oneof:"memory spill" doc:"with resident: where signals wait between two modules; spill = in files beside the modules"`
	Lambda     float64  `recipe:"lambda" default:"1" min:"0" max:"1000000000" doc:"weight of the reconciliation term"`
	Ramp       float64  `recipe:"ramp" default:"0" min:"0" max:"1" doc:"share of the training over which lambda rises to its value from 0, in a straight line; 0 = none"`
	Reduction  string   `recipe:"reduction" default:"mean" oneof:"mean batch sum" doc:"of the term: over B*D, over B, or none"`
	Normalize  bool     `recipe:"normalize" default:"true" doc:"divide gradients by their norms (Algorithm 1) or compare them raw (Eq. 6)"`
	Gradient   string   `recipe:"gradient" default:"auto" oneof:"auto directional shifted tangent double exact paper" doc:"of the term: by one replayed pass (sgr: auto), by one at a shifted input that finds all of the gradient, by an exact tangent (auto in bf16, for convolutional nets) or by double backward; in closed form (etf-sgr: auto) or by Eq. 35, a part of it"`
	Every      int      `recipe:"every" default:"1" min:"1" max:"1000000000" doc:"apply the term on every n-th step"`
	Fraction   float64  `recipe:"fraction" default:"1" above:"0" max:"1" doc:"share of the batch that the term is found on"`
	SGR        bool     `recipe:"sgr" default:"false" doc:"add the reconciliation term to a method of local losses; its gradients are those of the modules' whole objectives"`
	Smoothing  float64  `recipe:"label_smoothing" default:"0" min:"0" max:"0.999" doc:"share of each label that is spread over all classes"`
	Checkpoint string   `recipe:"checkpoint" default:"none" doc:"inside a module: none keeps all activations; blocks keeps the inputs of blocks and runs each forward twice; a number n those of every n blocks; sqrt those of the root of a module's blocks"`

	Reconstruction []float64 `recipe:"reconstruction" default:"" min:"0" max:"1000000" doc:"infopro: weight of the image's reconstruction in the first module and in the last but one; empty = published for K = 2, 4, 8, 16, linear in between"`
	Task           []float64 `recipe:"task" default:"" min:"0" max:"1000000" doc:"infopro: weight of the module's own task, likewise"`

	Feedback    float64 `recipe:"feedback" default:"1" above:"0" max:"1000000" doc:"dfa, drtp, pepita: factor of what the fixed random matrices bring"`
	Redundancy  float64 `recipe:"redundancy" default:"0.0051" min:"0" max:"1000000" doc:"barlow and its kin: weight of the correlations between different units of the embedding"`
	Noise       float64 `recipe:"noise" default:"0.25" min:"0" max:"1000000" doc:"barlow-blockwise: deviation of the noise on a module's input, as a share of the input's own"`
	OutputError string  `recipe:"output_error" default:"second" oneof:"second first" doc:"pepita: which pass's error the classifier learns from; first is that of the authors' net of one convolution"`
}

// Choices lists the methods that are registered, for package recipe; name is the one key that asks.
func (Options) Choices(string) []string { return registered.Names() }

// credit is back-propagation inside a module, with or without checkpoints.
func (o Options) credit() local.Credit {
	if n, checkpointed, _ := o.segment(); checkpointed {
		return local.Checkpointed{Blocks: n}
	}
	return local.Autograd{}
}

// segment returns the blocks between two checkpoints inside a module, 0 for the root of the module's, if there are any.
func (o Options) segment() (blocks int, checkpointed bool, err error) {
	switch o.Checkpoint {
	case "", "none":
		return 0, false, nil
	case "blocks":
		return 1, true, nil
	case "sqrt":
		return 0, true, nil
	}
	if n, err := strconv.Atoi(o.Checkpoint); err == nil && n >= 1 && n <= 4096 {
		return n, true, nil
	}
	return 0, false, fault.New("method.checkpoint is %q: must be none, blocks, sqrt, or a number of blocks from 1 to 4096", o.Checkpoint)
}

// Validate checks what single keys cannot.
func (o Options) Validate() error {
	_, _, err := o.segment()
	return err
}

// classify is the objective of every module.
func (o Options) classify() local.Objective { return local.Classify{Smoothing: o.Smoothing} }
