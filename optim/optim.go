// Package optim has optimizers over lists of tensors and the schedules of their learning rate.
package optim

import (
	"slices"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Options is the `optim` section of a recipe. Every module has an optimizer of its own: norms, sums and averages are
// over the module's parameters.
//
// In a program, a zero Name, Decay, Betas, Eps, Trust, Plain or Accumulate means the default, since zero itself would mean
// nothing. LR, Momentum, WeightDecay, Clip and EMA are what they say.
type Options struct {
	Name        string    `recipe:"name" default:"sgd" oneof:"@" doc:"optimizer; sgd, adamw, lars, or one that a program has registered"`
	LR          float64   `recipe:"lr" default:"0.1" min:"0" max:"1000" doc:"learning rate at the top of the schedule"`
	Momentum    float64   `recipe:"momentum" default:"0.9" min:"0" max:"1" doc:"momentum of sgd and lars"`
	Nesterov    bool      `recipe:"nesterov" default:"false" doc:"Nesterov's momentum, of sgd"`
	WeightDecay float64   `recipe:"weight_decay" default:"5e-4" min:"0" max:"1000" doc:"L2 penalty, added to the gradient; of adamw: share of a weight that a step at rate 1 takes away"`
	Decay       string    `recipe:"decay" default:"all" oneof:"all weights" doc:"what weight_decay acts on: all parameters, or all but biases, norms, class tokens and position embeddings; of lars also what its trust ratio acts on"`
	Betas       []float64 `recipe:"betas" default:"0.9,0.999" min:"0" max:"0.999999" doc:"of adamw: decay of the means of the gradient and of its square"`
	Eps         float64   `recipe:"eps" default:"1e-8" above:"0" max:"1" doc:"of adamw: added to the root of the mean square"`
	Trust       float64   `recipe:"trust" default:"0.001" above:"0" max:"1000" doc:"of lars: the length of a step as a share of a tensor's own"`
	Plain       float64   `recipe:"plain" default:"1" above:"0" max:"1000" doc:"of lars with decay weights: factor of the rate of biases and norms, which take plain steps; Barlow Twins has 0.024"`
	Clip        float64   `recipe:"clip" default:"0" min:"0" max:"1000000000" doc:"longest gradient of a module (L2 norm); 0 = any"`
	Accumulate  int       `recipe:"accumulate" default:"1" min:"1" max:"1000000" doc:"batches whose mean gradient makes one update"`
	EMA         float64   `recipe:"ema" default:"0" min:"0" max:"0.999999" doc:"decay of an exponential moving average of the weights, saved as ema.safetensors and evaluated as ema_acc; 0 = none"`
}

// Choices lists the optimizers that are registered, for package recipe; name is the one key that asks.
func (Options) Choices(string) []string { return registered.Names() }

// Optimizer changes parameters by their gradients. It lives as long as the parameters do: no schedule rebuilds it.
type Optimizer interface {
	// Step applies one update at learning rate lr. grads are in the order of the parameters that the optimizer was made
	// for; it overwrites them. A missing gradient is an error of the caller, but for those of [NewGrouped].
	Step(grads []torch.Tensor, lr float64)
	// State lists what must be saved to go on later, named by the parameter and the role: "conv1.weight.momentum".
	// Counters are named by the first parameter.
	State() []State
	// Free releases the state.
	Free()
}

// State is a named tensor of an optimizer, owned by it.
type State struct {
	Name  string
	Value torch.Tensor
}

// New returns the optimizer that o asks for over the trainable ones among params. It panics on options that
// [Options.Validate] refuses, and on no others.
func New(o Options, params []*nn.Param) Optimizer {
	return NewGrouped(o, params, func(*nn.Param) Group { return Group{Rate: 1} })
}

// around puts around an optimizer what the options ask for besides.
func (o Options) around(opt Optimizer, g group) Optimizer {
	if o.Clip > 0 {
		opt = clip{opt, o.Clip}
	}
	if o.EMA > 0 {
		opt = newEMA(opt, o.EMA, g)
	}
	if o.Accumulate > 1 {
		opt = newAccumulate(opt, o.Accumulate, g)
	}
	return opt
}

// group is the trainable parameters of a module.
type group struct {
	names   []string
	theta   []torch.Tensor
	decayed []int // places of those that weight decay acts on
}

func newGroup(o Options, params []*nn.Param) group {
	g := group{theta: nn.Trainable(params)}
	for _, p := range params {
		if !p.Trainable {
			continue
		}
		if o.Decay != "weights" || len(p.Value.Shape()) > 1 && !p.Embedding {
			g.decayed = append(g.decayed, len(g.names))
		}
		g.names = append(g.names, p.Name)
	}
	return g
}

// pick returns the decayed ones of a list in the order of the parameters.
func (g group) pick(ts []torch.Tensor) []torch.Tensor {
	if len(g.decayed) == len(ts) {
		return ts
	}
	out := make([]torch.Tensor, len(g.decayed))
	for i, k := range g.decayed {
		out[i] = ts[k]
	}
	return out
}

// rest returns those of a list in the order of the parameters that pick leaves out.
func (g group) rest(ts []torch.Tensor) []torch.Tensor {
	var out []torch.Tensor
	for i, t := range ts {
		if !slices.Contains(g.decayed, i) {
			out = append(out, t)
		}
	}
	return out
}

// device is where the parameters are.
func (g group) device() torch.Device {
	if len(g.theta) == 0 {
		return torch.CPU
	}
	return g.theta[0].Device()
}

// zeros returns a tensor of zeros for every parameter. The caller frees them.
func (g group) zeros() []torch.Tensor {
	s := g.device().Scope(torch.NoGrad)
	defer s.Close()
	var out []torch.Tensor
	for _, t := range g.theta {
		out = append(out, s.ZerosLike(t).Keep())
	}
	return out
}

// states names tensors in the order of the parameters by their role.
func (g group) states(ts []torch.Tensor, role string) []State {
	var out []State
	for i, t := range ts {
		out = append(out, State{g.names[i] + "." + role, t})
	}
	return out
}

// counter is a number that is saved with the state. It lies on the CPU, wherever the parameters are: its value decides what
// the host does next.
type counter struct {
	name  string
	value torch.Tensor // [1], int64
}

func (g group) counter(role string) counter {
	name := role
	if len(g.names) > 0 {
		name = g.names[0] + "." + role
	}
	s := torch.CPU.Scope(torch.NoGrad)
	defer s.Close()
	return counter{name, s.FromInts([]int64{0}).Keep()}
}

// next counts one more and returns how many that makes.
func (c counter) next() int {
	c.value.Increment(1)
	return int(c.value.Item())
}

func (c counter) state() State { return State{c.name, c.value} }

func free(lists ...[]torch.Tensor) {
	for _, ts := range lists {
		for _, t := range ts {
			t.Free()
		}
	}
}

// norm returns the L2 norm of tensors taken together, without dimensions.
func norm(s *torch.Scope, ts []torch.Tensor) torch.Tensor {
	each := s.Norms(ts)
	return s.Sqrt(s.SumInOrder(s.Mul(each, each)))
}
