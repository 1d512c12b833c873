package local_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/locus-learn/locus/local"
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
		{"dgl", "dgl", conv, 2},
		{"infopro", "infopro", conv, 2},
		{"infopro-contrast", "infopro-contrast", conv, 2},
		{"reforward", "reforward", conv, 2},
		{"auglocal 2", "layerwise", aug(2), 2},
		{"auglocal 1", "layerwise", aug(1), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			g := nntest.Open(t, s, "testdata/methods.safetensors")
			method, o, err := local.Lookup(local.Options{Name: tt.method, Modules: 3})
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
				for _, m := range c.Modules() {
					for _, p := range m.Params {
						v := p.Value.Float64s()
						switch {
						case p.Value.DType() == torch.Int64:
							continue
						case p.Trainable:
							v = minus(v, before[p.Name])
						}
						worst = max(worst, g.CheckDigest(t, fmt.Sprintf("%s|%d|", tt.name, i), p.Name, v, 1e-8))
					}
				}
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
		m, o, err := local.Lookup(local.Options{Name: name, Modules: 3, SGR: true, Lambda: 2})
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
