package local_test

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Steps of every method hold to methods.py in float64: losses, every parameter's update, every statistic.
func TestMethodsAgreeWithPyTorch(t *testing.T) {
	aug := func(depth int) zoo.HeadOptions { return zoo.HeadOptions{Name: "auglocal", Depth: depth} }
	conv := zoo.HeadOptions{Name: "conv", Width: 8}
	for _, tt := range []struct {
		name, method string
		head         zoo.HeadOptions
		steps        int
	}{
		{"greedy", "greedy", conv, 3}, // one a phase
		{"dgl", "dgl", conv, 1},
		{"infopro", "infopro", conv, 2},
		{"infopro-contrast", "infopro-contrast", conv, 1},
		{"reforward", "reforward", conv, 2},
		{"auglocal 2", "layerwise", aug(2), 1},
		{"auglocal 1", "layerwise", aug(1), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			g := nntest.Open(t, s, "testdata/methods.safetensors")
			method, o, err := method.Lookup(method.Options{Name: tt.method, Modules: 3})
			if err != nil {
				t.Fatal(err)
			}
			net := zoo.Options{Name: "resnet32", Depth: 8, Width: 16}
			c := compose(assemble(t, net, method, 3, tt.head), method, o, torch.Float64)
			const mean, std = 0.45, 0.3
			c.Pixels = local.Pixels{Mean: []float64{mean, mean, mean}, Std: []float64{std, std, std}}
			for _, m := range c.Modules() {
				nntest.Fill(m.Params)
			}
			worst := 0.0
			for i := range tt.steps {
				before := stateOf(c.Modules()...)
				x, y := formulaBatch(s, i, mean, std)
				left, err := c.Step(x, y, local.Tick{Done: (float64(i) + 0.5) / float64(tt.steps), LR: 0.1})
				if err != nil {
					t.Fatal(err)
				}
				checkLosses(t, g.Get(t, fmt.Sprintf("%s|%d|loss", tt.name, i)).Float64s(), left[0].Stats)
				worst = max(worst, checkUpdates(t, g, fmt.Sprintf("%s|%d|", tt.name, i), c, before, 1e-8))
			}
			t.Logf("worst relative error %.1e", worst)
		})
	}
}

// formulaBatch is the batch of a step of methods.py.
func formulaBatch(s *torch.Scope, step int, mean, std float64) (x, y torch.Tensor) {
	v := nntest.Formula(fmt.Sprintf("images %d", step), 8*3*8*8)
	for i := range v {
		v[i] = ((v[i]+1)/2 - mean) / std
	}
	labels := make([]int64, 8)
	for i := range labels {
		labels[i] = int64(3*i+step) % 4
	}
	return s.ChannelsLast(s.FromDoubles(v, 8, 3, 8, 8)).Keep(), s.FromInts(labels).Keep()
}

// checkLosses holds the losses of the modules that trained to want.
func checkLosses(t *testing.T, want []float64, stats []local.Stats) {
	t.Helper()
	var got []float64
	for _, s := range stats {
		if !math.IsNaN(s.Loss) {
			got = append(got, s.Loss)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d modules trained, want %d", len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-9*math.Abs(want[i])) {
			t.Errorf("loss %d is %.12g, want %.12g", i+1, got[i], want[i])
		}
	}
}

// What the authors publish stands, and K = 3 lies halfway between K = 2 and K = 4.
func TestInfoProWeights(t *testing.T) {
	for k, want := range map[int][4]float64{
		1: {5, 1, 5, 1}, 2: {5, 1, 5, 1}, 3: {5.5, 0.5, 3, 1.5}, 4: {6, 0, 1, 2}, 6: {5.5, 0, 0.5, 2}, 8: {5, 0, 0, 2},
		16: {5, 0.05, 0.2, 0.5}, 55: {5, 0.05, 0.2, 0.5},
	} {
		first, last := local.InfoProWeights(k)
		if got := [4]float64{first[0], first[1], last[0], last[1]}; got != want {
			t.Errorf("K = %d: %v, want %v", k, got, want)
		}
	}
}

func TestOneByOne(t *testing.T) {
	const steps = 7 * 13 // no round binary fractions
	for _, K := range []int{1, 3, 7, 13} {
		for step := range steps {
			for k := 1; k <= K; k++ {
				want := local.Trains
				switch now := step*K/steps + 1; {
				case k < now:
					want = local.Frozen
				case k > now:
					want = local.Idle
				}
				if got := (local.OneByOne{}).Phase(k, K, float64(step)/steps); got != want {
					t.Fatalf("module %d of %d at step %d: phase %v, want %v", k, K, step, got, want)
				}
			}
		}
	}
}

func TestSGROverOtherMethods(t *testing.T) {
	for name, fits := range map[string]bool{"layerwise": true, "dgl": true, "infopro": true, "infopro-contrast": true, "reforward": true, "sgr": true, "bp": false, "greedy": false} {
		m, o, err := method.Lookup(method.Options{Name: name, Modules: 3, SGR: true, Lambda: 2})
		if (err == nil) != fits {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err != nil {
			continue
		}
		rule, _ := m.Compose(o)
		if term, ok := rule.Term.(*local.Reconcile); !ok || term.Lambda != 2 {
			t.Errorf("%s has the term %#v", name, rule.Term)
		}
	}
}

// Checkpoints change memory, not results, of objectives with parameters of their own, too.
func TestCheckpointsUnderOtherMethods(t *testing.T) {
	for _, name := range []string{"dgl", "infopro", "infopro-contrast", "reforward"} {
		var states []state
		for _, checkpoint := range []string{"none", "blocks"} {
			o := sgr("directional")
			o.Name, o.SGR, o.Modules, o.Checkpoint = name, true, 2, checkpoint
			method, o, err := method.Lookup(o)
			if err != nil {
				t.Fatal(err)
			}
			c := compose(assemble(t, zoo.Options{Name: "resnet32", Depth: 14, Width: 4}, method, 2, zoo.HeadOptions{Name: "conv", Width: 8}), method, o, torch.Float32)
			train(t, c, 2)
			states = append(states, stateOf(c.Modules()...))
		}
		if !reflect.DeepEqual(states[0], states[1]) {
			t.Errorf("%s: weights differ", name)
		}
	}
}

// SGR over other objectives: the replayed pass and the double backward agree, decoder, contrast and all.
func TestSGROverOtherObjectives(t *testing.T) {
	for _, name := range []string{"dgl", "infopro", "infopro-contrast", "reforward"} {
		t.Run(name, func(t *testing.T) {
			var states [3]state // before, after a directional and after a double step
			var all []*local.Module
			for i, gradient := range []string{"directional", "double"} {
				o := sgr(gradient)
				o.Name, o.SGR = name, true
				method, o, err := method.Lookup(o)
				if err != nil {
					t.Fatal(err)
				}
				c := compose(assemble(t, resnet, method, 3, zoo.HeadOptions{Name: "conv", Width: 8}), method, o, torch.Float64)
				all = c.Modules()
				states[0] = stateOf(all...)
				stats := train(t, c, 1)
				if math.IsNaN(stats[2].Cos) {
					t.Error("the term did not act")
				}
				states[i+1] = stateOf(all...)
			}
			for _, m := range all {
				if cos, ratio := cosine(update(m, states[0], states[1]), update(m, states[0], states[2])); !(cos > 1-1e-8 && math.Abs(ratio-1) < 1e-4) {
					t.Errorf("module %d: cosine %.10f, norms' ratio %.6f", m.Index, cos, ratio)
				}
			}
		})
	}
}

// composed is a method, by its name, over the small residual network in three modules.
func composed(t *testing.T, name string) *local.Chain {
	t.Helper()
	method, o, err := method.Lookup(method.Options{Name: name, Modules: 3})
	if err != nil {
		t.Fatal(err)
	}
	return compose(assemble(t, resnet, method, 3, zoo.HeadOptions{Name: "conv", Width: 8}), method, o, torch.Float32)
}

// Whatever signals carry, and whoever trains: modules that work at the same time end with the bits of lock-step.
func TestPipelinesOfOtherMethods(t *testing.T) {
	oneThread(t)
	for _, name := range []string{"greedy", "dgl", "infopro", "infopro-contrast", "reforward"} {
		t.Run(name, func(t *testing.T) {
			c, piped := composed(t, name), composed(t, name)
			want, err := feed(c, 0, 20, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := feed(pipeline(t, piped, 2, 3), 0, 20, nil)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, want, piped.Modules(), c.Modules())
		})
	}
}

// A head that embeds has no accuracy and answers nothing.
func TestHeadsThatEmbed(t *testing.T) {
	c := composed(t, "infopro-contrast")
	nothingLeft(t, func() {
		scores, err := c.Evaluate(randomBatch(torch.Float32, 1))
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range scores {
			if want := i == 2; (s.N == batch) != want || !want && !reflect.DeepEqual(s, local.Score{}) {
				t.Errorf("module %d: %+v", i+1, s)
			}
		}
		x, y := randomBatch(torch.Float32, 1)
		x, y = shorten(x, y, 1)
		y.Free()
		answers, err := c.Predict(x, 1e-9)
		if err != nil || len(answers) != 1 || answers[0].Module != 3 || len(answers[0].Probabilities) != classes {
			t.Errorf("answers %+v, error %v", answers, err)
		}
	})
}

// The image that a signal carries is what was there before normalisation, in float32 whatever activations are.
func TestSignalsCarryTheImage(t *testing.T) {
	for dtype, tol := range map[torch.DType]float64{torch.Float32: 1e-6, torch.BFloat16: 1e-2} {
		c := composed(t, "infopro")
		c.DType, c.Pixels = dtype, local.Pixels{Mean: []float64{0.1, 0.2, 0.3}, Std: []float64{0.5, 0.6, 0.7}}
		nothingLeft(t, func() {
			x, y := randomBatch(dtype, 1)
			values := x.Float64s()
			in, err := c.Enter(x, y, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Free()
			if in.Image.DType() != torch.Float32 {
				t.Errorf("it is in %v", in.Image.DType())
			}
			area := images.H * images.W
			for i, got := range in.Image.Float64s() {
				ch := i / area % images.C
				if want := values[i]*c.Pixels.Std[ch] + c.Pixels.Mean[ch]; math.Abs(got-want) > tol {
					t.Fatalf("element %d is %g, want %g", i, got, want)
				}
			}
		})
	}
}

// bfloat16 activations train, too: losses, decoders and contrast are in float32.
func TestMethodsInBFloat16(t *testing.T) {
	for _, name := range []string{"dgl", "infopro", "infopro-contrast", "reforward", "greedy"} {
		c := composed(t, name)
		c.DType = torch.BFloat16
		before := stateOf(c.Modules()...)
		x, y := randomBatch(torch.BFloat16, 1)
		if _, err := c.Step(x, y, local.Tick{LR: 0.1}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if m := c.Modules()[0]; nntest.Norm(update(m, before, stateOf(m))) == 0 {
			t.Errorf("%s: nothing has moved", name)
		}
	}
}

// checkUpdates compares what a step has added to parameters, and statistics as they are, with golden digests of that
// prefix, and returns the worst relative error.
func checkUpdates(t *testing.T, g nntest.Golden, prefix string, c *local.Chain, before state, tol float64) (worst float64) {
	t.Helper()
	for _, m := range c.Modules() {
		for _, p := range m.Params {
			v := p.Value.Float64s()
			switch {
			case p.Value.DType() == torch.Int64:
				continue
			case p.Trainable:
				v = minus(v, before[p.Name])
			}
			worst = max(worst, g.CheckDigest(t, prefix, p.Name, v, tol))
		}
	}
	return worst
}
