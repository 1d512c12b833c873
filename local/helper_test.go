package local_test

import (
	"cmp"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

const (
	classes = 10
	batch   = 8
)

var (
	images = nn.Shape{C: 3, H: 8, W: 8}
	resnet = zoo.Options{Name: "resnet32", Depth: 8, Width: 4}
	mlp    = zoo.Options{Name: "mlp", Depth: 3, Width: 6}
)

// sgr returns the options of SGR on three modules. A λ of this size makes the normalised term matter in small nets.
func sgr(gradient string) method.Options {
	return method.Options{Name: "sgr", Modules: 3, Lambda: 5, Reduction: "batch", Normalize: true, Gradient: gradient, Every: 1}
}

func sgd(params []*nn.Param) optim.Optimizer {
	return optim.New(optim.Options{Name: "sgd", Momentum: 0.9, WeightDecay: 5e-4}, params)
}

// modules cuts a network in k; they are freed when the test ends.
func modules(t testing.TB, net zoo.Options, k int) []*local.Module {
	t.Helper()
	head := zoo.HeadOptions{Name: "conv", Width: 8}
	if net.Name == "mlp" {
		head.Name = "linear"
	}
	return assemble(t, net, method.Method{}, k, head)
}

// assemble cuts a network in k modules with what a method wants in them; they are freed when the test ends.
func assemble(t testing.TB, net zoo.Options, how method.Method, k int, head zoo.HeadOptions) []*local.Module {
	t.Helper()
	init := nn.Init{Seed: 7, Device: torch.CPU}
	n, err := zoo.New(net, images, classes, init)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := method.Cuts(n.Blocks, n.Cuts, k, nil)
	if err != nil {
		t.Fatal(err)
	}
	kind, err := zoo.LookupHead(cmp.Or(how.Head, head.Name), true)
	if err != nil {
		t.Fatal(err)
	}
	var all []*local.Module
	from := 0
	for i, end := range ends {
		layer, last := n.Classifier, i == len(ends)-1
		at := zoo.Cut{Net: n, Module: i + 1, Modules: len(ends), End: end}
		if !last || how.LastHead {
			if layer, err = kind.New(head, at, init); err != nil {
				t.Fatal(err)
			}
		}
		if last && how.LastHead {
			nn.Free(nn.Params(n.Classifier))
		}
		aux, err := zoo.NewAux(how.Aux, at, init)
		if err != nil {
			t.Fatal(err)
		}
		m := local.NewModule(i+1, last, n.Blocks[from:end], layer, aux, sgd)
		m.Embeds = kind.Embeds && (!last || how.LastHead)
		t.Cleanup(m.Free)
		all = append(all, m)
		from = end
	}
	return all
}

// chain composes a method over a freshly initialised network that computes in dtype.
func chain(t testing.TB, net zoo.Options, o method.Options, dtype torch.DType) *local.Chain {
	t.Helper()
	method, o, err := method.Lookup(o)
	if err != nil {
		t.Fatal(err)
	}
	return compose(modules(t, net, o.Modules), method, o, dtype)
}

// compose lets a method drive modules that compute in dtype.
func compose(all []*local.Module, method method.Method, o method.Options, dtype torch.DType) *local.Chain {
	if dtype == torch.Float64 {
		for _, m := range all {
			for _, p := range m.Params {
				p.Convert(dtype)
			}
			m.Refresh(sgd)
		}
	}
	rule, schedule := method.Compose(o)
	return local.NewChain(all, rule, schedule, dtype)
}

// randomBatch returns a batch that the caller owns; seed makes another one.
func randomBatch(dtype torch.DType, seed uint64) (x, y torch.Tensor) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	x = s.Full(dtype, 0, batch, int64(images.C), int64(images.H), int64(images.W))
	x.Normal(0, 1, seed)
	labels := make([]int64, batch)
	for i := range labels {
		labels[i] = (int64(i)*7 + int64(seed)) % classes
	}
	return x.Keep(), s.FromInts(labels).Keep()
}

// train takes steps on random batches and returns the stats of the last one.
func train(t testing.TB, c *local.Chain, steps int) []local.Stats {
	t.Helper()
	var stats []local.Stats
	for step := range steps {
		x, y := randomBatch(c.DType, uint64(step))
		left, err := c.Step(x, y, local.Tick{Step: step, LR: 0.1})
		if err != nil {
			t.Fatal(err)
		}
		stats = left[0].Stats
	}
	return stats
}

// state copies all parameters and buffers of modules.
type state map[string][]float64

func stateOf(modules ...*local.Module) state {
	s := state{}
	for _, m := range modules {
		for _, p := range m.Params {
			s[p.Name] = p.Value.Float64s()
		}
	}
	return s
}

func minus(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

// update returns how far a module's trainable parameters have moved from one state to the next, as one vector.
func update(m *local.Module, from, to state) []float64 {
	var v []float64
	for _, p := range m.Params {
		if p.Trainable {
			v = append(v, minus(to[p.Name], from[p.Name])...)
		}
	}
	return v
}

// cosine returns the cosine between a and b, and ‖a‖/‖b‖.
func cosine(a, b []float64) (cos, ratio float64) {
	var dot float64
	for i := range a {
		dot += a[i] * b[i]
	}
	na, nb := nntest.Norm(a), nntest.Norm(b)
	return dot / (na * nb), na / nb
}
