package local

import (
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// Options is the `method` section of a recipe.
type Options struct {
	Name       string   `recipe:"name" default:"sgr" doc:"how the network learns; 'locus list methods' shows them"`
	Modules    int      `recipe:"modules" default:"3" min:"1" doc:"K, the number of gradient-isolated modules; bp and fa have one, methods without back-propagation one a block"`
	Cuts       []string `recipe:"cuts" default:"" doc:"blocks that end modules 1 to K-1; wins over modules; auto = the modules with the least peak memory, auto:time = the most even time, for a pipeline"`
	Pipeline   int      `recipe:"pipeline" default:"0" min:"0" doc:"batches in flight through modules that work at the same time; 0 = one after the other, in lock-step"`
	Lambda     float64  `recipe:"lambda" default:"1" min:"0" doc:"weight of the reconciliation term"`
	Ramp       float64  `recipe:"ramp" default:"0" min:"0" max:"1" doc:"share of the training over which lambda rises to its value from 0, in a straight line; 0 = none"`
	Reduction  string   `recipe:"reduction" default:"mean" oneof:"mean batch sum" doc:"of the term: over B*D, over B, or none"`
	Normalize  bool     `recipe:"normalize" default:"true" doc:"divide gradients by their norms (Algorithm 1) or compare them raw (Eq. 6)"`
	Gradient   string   `recipe:"gradient" default:"auto" oneof:"auto directional tangent double exact paper" doc:"of the term: by one replayed pass (sgr: auto), by an exact tangent (auto in bf16, for convolutional nets) or by double backward; in closed form (etf-sgr: auto) or by Eq. 35, a part of it"`
	Every      int      `recipe:"every" default:"1" min:"1" doc:"apply the term on every n-th step"`
	Fraction   float64  `recipe:"fraction" default:"1" above:"0" max:"1" doc:"share of the batch that the term is found on"`
	SGR        bool     `recipe:"sgr" default:"false" doc:"add the reconciliation term to a method of local losses; its gradients are those of the modules' whole objectives"`
	Smoothing  float64  `recipe:"label_smoothing" default:"0" min:"0" max:"0.999" doc:"share of each label that is spread over all classes"`
	Checkpoint string   `recipe:"checkpoint" default:"none" oneof:"none blocks" doc:"inside a module: keep all activations, or the blocks' inputs only and run each block forward twice"`

	Reconstruction []float64 `recipe:"reconstruction" default:"" min:"0" doc:"infopro: weight of the image's reconstruction in the first module and in the last but one; empty = published for K = 2, 4, 8, 16, linear in between"`
	Task           []float64 `recipe:"task" default:"" min:"0" doc:"infopro: weight of the module's own task, likewise"`

	Feedback    float64 `recipe:"feedback" default:"1" min:"0" doc:"dfa, drtp, pepita: factor of what the fixed random matrices bring"`
	Redundancy  float64 `recipe:"redundancy" default:"0.0051" min:"0" doc:"barlow and its kin: weight of the correlations between different units of the embedding"`
	Noise       float64 `recipe:"noise" default:"0.25" min:"0" doc:"barlow-blockwise: deviation of the noise on a module's input, as a share of the input's own"`
	OutputError string  `recipe:"output_error" default:"second" oneof:"second first" doc:"pepita: which pass's error the classifier learns from; first is that of the authors' net of one convolution"`
}

// Method is a named point in the space of compositions.
type Method struct {
	Name, Doc string
	Claims    Claims
	Cut       Cut
	Head      string              // the local head that the method prescribes; "" leaves the choice to the recipe
	LastHead  bool                // it takes the place of the network's own classifier, too
	Aux       string              // what else modules need, by its name in zoo; "" for nothing
	Check     func(Options) error // a fault if the method has no use for such options; nil where any will do
	Compose   func(Options) (Rule, Schedule)

	// A fault if the method cannot train such a network; nil where it trains any.
	Fits func(blocks []nn.Block, classifier nn.Layer) error
	// The values of method.gradient that it has besides auto; nil for sgr's.
	GradientOptions []string
}

// Cut says where a method cuts the network.
type Cut int

const (
	Anywhere   Cut = iota // into method.modules or at method.cuts
	Nowhere               // one module: the gradient crosses the whole network
	Everywhere            // each block is a module
)

// Claims are the columns of Table 1, as a method declares them; package localtest checks them.
type Claims struct {
	Backward  Extent // how far back-propagation goes
	Locking   Extent // whether an update waits for modules behind: for their forward and backward passes (Whole), for the forward ones (Inside: "partly"), or for none
	Transport Extent // where a backward pass needs the transposes of the forward weights
	Trains    string // what is trained when
	Descends  bool   // updates follow the gradients of the modules' objectives and terms
}

// Extent is how far something reaches: through the whole network, inside a module, or nowhere.
type Extent int

const (
	Never Extent = iota
	Inside
	Whole
)

var methods = []Method{bp, layerwise, sgr, greedy, dgl, infopro, infoproContrast, reforward, etf, etfSGR, etfReforward, fa, dfa, drtp, pepita, barlow, barlowBlockwise, barlowSGR}

// Methods lists the methods by name.
func Methods() []Method { return slices.Clone(methods) }

// credit is back-propagation inside a module, with or without checkpoints.
func (o Options) credit() Credit {
	if o.Checkpoint == "blocks" {
		return Checkpointed{}
	}
	return Autograd{}
}

// classify is the objective of every module.
func (o Options) classify() Objective { return Classify{Smoothing: o.Smoothing} }

// needsMaps is what methods ask of blocks whose heads are convolutions.
func needsMaps(method string) func([]nn.Block, nn.Layer) error {
	return func(blocks []nn.Block, _ nn.Layer) error {
		for _, b := range blocks[:len(blocks)-1] { // the last block has the network's classifier
			if b.Out.H == 0 {
				return fault.New("method.name is %s: needs feature maps or tokens between blocks, %s puts out a vector; fits convolutional networks and transformers, such as resnet32",
					method, b.Name)
			}
		}
		return nil
	}
}

// Lookup finds the method that o names and settles the options that it fixes.
func Lookup(o Options) (Method, Options, error) {
	i := slices.IndexFunc(methods, func(m Method) bool { return m.Name == o.Name })
	if i < 0 {
		var names []string
		for _, m := range methods {
			names = append(names, m.Name)
		}
		return Method{}, o, fault.New("method.name is %q: must be one of %s", o.Name, strings.Join(names, ", "))
	}
	m := methods[i]
	if m.Cut == Nowhere {
		o.Modules, o.Cuts = 1, nil
	}
	_, auto := o.Auto()
	if auto && m.Cut == Everywhere {
		return Method{}, o, fault.New("method.cuts is %s: must be empty for method.name %s, which cuts behind every block", o.Cuts[0], o.Name)
	}
	if o.Pipeline > 0 && m.Claims.Locking == Inside {
		return Method{}, o, fault.New("method.pipeline is %d: must be 0 for method.name %s, whose modules wait for the network's error", o.Pipeline, o.Name)
	}
	if o.Pipeline > 0 && o.Modules == 1 && (len(o.Cuts) == 0 || auto) && m.Cut != Everywhere {
		return Method{}, o, fault.New("method.pipeline is %d: must be 0 for a network of one module, which has nobody to work beside (method.name %s)", o.Pipeline, o.Name)
	}
	if err := m.checkGradient(o); err != nil {
		return Method{}, o, err
	}
	if m.Check != nil {
		if err := m.Check(o); err != nil {
			return Method{}, o, err
		}
	}
	if o.SGR {
		var err error
		if m, err = m.withSGR(o); err != nil {
			return Method{}, o, err
		}
	}
	return m, o, nil
}

// checkGradient refuses a way to the term's gradient that the method does not have.
func (m Method) checkGradient(o Options) error {
	all := m.GradientOptions
	if all == nil {
		all = []string{"directional", "tangent", "double"}
	}
	if o.Gradient == "" || o.Gradient == "auto" || slices.Contains(all, o.Gradient) {
		return nil
	}
	return fault.New("method.gradient is %s: must be auto or one of %s for method.name %s", o.Gradient, strings.Join(all, ", "), m.Name)
}
