package model_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// tuned is a small network that goes on by a method.
func tuned(change func(*model.Spec)) model.Spec {
	return small(func(s *model.Spec) {
		s.Method.Name, s.Method.Modules, s.Head.Name = "layerwise", 3, "linear"
		if change != nil {
			change(s)
		}
	})
}

// contents are the bytes of all parameters and buffers.
func contents(m *model.Model) map[string][]byte {
	all := map[string][]byte{}
	for _, p := range m.Params() {
		all[p.Name] = p.Value.Data()
	}
	return all
}

// takeSteps trains a model for as many steps and returns the outcome of the last one.
func takeSteps(t *testing.T, m *model.Model, from, end, of int) (last local.Outcome) {
	t.Helper()
	for step := from; step < end; step++ {
		x, y := randomBatch(m, step)
		left, err := m.Learner.Step(x, y, local.Tick{Step: step, Done: float64(step) / float64(of), LR: 0.05})
		if err != nil {
			t.Fatal(err)
		}
		last = left[len(left)-1]
	}
	return last
}

// isStem reports whether a name is a parameter's of the first block.
func isStem(name string) bool {
	return strings.HasPrefix(name, "conv1") || strings.HasPrefix(name, "bn1")
}

// What is frozen stays bit for bit, running statistics included, and all else learns, whatever the method.
func TestFrozenPartsStay(t *testing.T) {
	for _, how := range []string{"bp", "layerwise", "sgr", "sgr double", "sgr shifted", "sgr batch", "dgl", "infopro", "bp checkpoints", "layerwise checkpoints"} {
		for freeze, frozen := range map[string]func(string) bool{
			"stem,layer1": func(name string) bool { return isStem(name) || strings.HasPrefix(name, "layer1") },
			"layer2":      func(name string) bool { return strings.HasPrefix(name, "layer2") },
			"body":        func(name string) bool { return !model.IsLocal(name) && !strings.HasPrefix(name, "fc") },
			"layer3,fc,heads.1": func(name string) bool {
				return strings.HasPrefix(name, "layer3") || strings.HasPrefix(name, "fc") || strings.HasPrefix(name, "heads.1")
			},
			"stem,layer1,heads.1": func(name string) bool {
				return isStem(name) || strings.HasPrefix(name, "layer1") || strings.HasPrefix(name, "heads.1")
			},
		} {
			t.Run(how+" "+freeze, func(t *testing.T) {
				name, special, _ := strings.Cut(how, " ")
				m := built(t, tuned(func(s *model.Spec) {
					s.Method.Name, s.Tune.Freeze = name, strings.Split(freeze, ",")
					s.Method.Lambda = 0.1
					switch special {
					case "double", "shifted":
						s.Method.Gradient = special
					case "batch":
						s.Method.Reduction, s.Method.Fraction = "batch", 0.5
					case "checkpoints":
						s.Method.Checkpoint = "blocks"
					}
				}))
				before := contents(m)
				alive := torch.LiveBytes()
				takeSteps(t, m, 0, 2, 2)
				if grown := torch.LiveBytes() - alive; grown != 0 {
					t.Errorf("%d bytes are left of steps", grown)
				}
				for name, was := range before {
					now := contents(m)[name]
					fixed := frozen(name) || strings.HasPrefix(name, "decoders.1") && strings.Contains(freeze, "heads.1")
					if same := slices.Equal(was, now); same != fixed {
						t.Errorf("%s: stayed %v, frozen %v", name, same, fixed)
					}
				}
			})
		}
	}
}

// A module that is wholly frozen costs what its forward pass does, to the byte: no graph, no gradients, no optimizer state. One
// whose head learns costs the head besides.
func TestAFrozenModuleCostsItsForwardPass(t *testing.T) {
	m := built(t, tuned(func(s *model.Spec) {
		s.Method.Name, s.Tune.Freeze = "sgr", []string{"stem", "layer1", "heads.1"}
		s.Optim.Name, s.Optim.EMA = "adamw", 0.9
	}))
	first := m.Modules()[0]
	var params int64
	for _, p := range first.Params {
		params += p.Value.Bytes()
	}
	if got := first.RestingBytes(); got != params {
		t.Errorf("at rest it keeps %d bytes, its parameters are %d", got, params)
	}
	if first.Trains() || !first.Rests() {
		t.Error("module 1 learns")
	}
	x, y := randomBatch(m, 1)
	signal, err := m.Chain.Enter(x, y, 0)
	if err != nil {
		t.Fatal(err)
	}

	s := torch.NewScope(torch.NoGrad)
	input := s.Alias(signal.X)
	base := torch.LiveBytes()
	torch.ResetPeak()
	want := first.Body.Forward(nn.Evaluate(s, m.DType), s.Clone(input))
	forward := torch.PeakBytes() - base
	features := want.Float64s()
	s.Close()

	recorded, base := torch.Recorded(), torch.LiveBytes()
	torch.ResetPeak()
	out, stats, err := m.Chain.Worker(0).Advance(signal, local.Tick{LR: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Free()
	if n := torch.Recorded() - recorded; n != 0 {
		t.Errorf("autograd recorded %d results", n)
	}
	if own := torch.PeakBytes() - base; own > forward {
		t.Errorf("it took %d bytes, a forward pass takes %d", own, forward)
	}
	if stats.Loss == stats.Loss {
		t.Errorf("a module that does not learn has loss %g", stats.Loss)
	}
	if out.Delta.Defined() {
		t.Error("a gradient is handed on from a module that does not move")
	}
	if !slices.Equal(out.X.Float64s(), features) {
		t.Error("its features are not those of evaluation")
	}
}

// In front of what learns, frozen blocks add nothing to a step but the image, which waits.
func TestFrozenBlocksInFrontCostNothing(t *testing.T) {
	peak := func(freeze ...string) (peak, rest int64) {
		m := built(t, tuned(func(s *model.Spec) { s.Method.Name, s.Tune.Freeze = "bp", freeze }))
		takeSteps(t, m, 0, 1, 1)
		base := torch.LiveBytes()
		torch.ResetPeak()
		takeSteps(t, m, 1, 2, 2)
		return torch.PeakBytes() - base, m.RestingBytes()
	}
	whole, wholeRest := peak()
	frozen, frozenRest := peak("stem", "layer1", "layer2")
	last, lastRest := peak("body")
	t.Logf("peaks %d, %d, %d bytes, at rest %d, %d, %d", whole, frozen, last, wholeRest, frozenRest, lastRest)
	if !(last < frozen && frozen < whole) {
		t.Errorf("peaks %d, %d with three parts frozen, %d with all: must fall", whole, frozen, last)
	}
	m := built(t, tuned(func(s *model.Spec) { s.Method.Name, s.Tune.Freeze = "bp", []string{"body"} }))
	var params, momentum int64
	for _, p := range m.Params() {
		params += p.Value.Bytes()
	}
	for _, p := range nn.Params(m.Net.Classifier) {
		momentum += p.Value.Bytes()
	}
	if lastRest != params+momentum {
		t.Errorf("at rest %d bytes: want %d of parameters and %d of the classifier's momentum", lastRest, params, momentum)
	}
}

// While heads warm up, bodies stay bit for bit, and afterwards they learn.
func TestHeadsWarmUp(t *testing.T) {
	for _, how := range []string{"bp", "layerwise", "sgr"} {
		m := built(t, tuned(func(s *model.Spec) { s.Method.Name, s.Tune.HeadWarmup, s.Optim.WeightDecay = how, 0.5, 0.01 }))
		before := contents(m)
		recorded := takeSteps(t, m, 0, 2, 4)
		for name, was := range before {
			head := model.IsLocal(name) || strings.HasPrefix(name, "fc")
			if same := slices.Equal(was, contents(m)[name]); same == head {
				t.Errorf("%s: %s stayed: %v", how, name, same)
			}
		}
		if loss := recorded.Stats[0].Loss; loss != loss {
			t.Errorf("%s: a head that learns has no loss", how)
		}
		warm := contents(m)
		takeSteps(t, m, 2, 3, 4)
		for name, was := range warm {
			if slices.Equal(was, contents(m)[name]) {
				t.Errorf("%s: %s stays after the warm-up", how, name)
			}
		}
	}
}

// Earlier blocks move less with a layer decay, as BEiT has it, and heads by their own rate.
func TestLayerDecay(t *testing.T) {
	moved := func(decay, heads float64) map[string]float64 {
		m := built(t, tuned(func(s *model.Spec) {
			s.Method.Name, s.Tune.LayerDecay, s.Tune.HeadRate = "bp", decay, heads
			s.Optim.Momentum, s.Optim.WeightDecay = 0, 0
		}))
		before := map[string][]float64{}
		for _, p := range m.Params() {
			before[p.Name] = p.Value.Float64s()
		}
		takeSteps(t, m, 0, 1, 1)
		all := map[string]float64{}
		for _, p := range m.Params() {
			for i, v := range p.Value.Float64s() {
				all[p.Name] = max(all[p.Name], v-before[p.Name][i], before[p.Name][i]-v)
			}
		}
		return all
	}
	plain, decayed := moved(1, 1), moved(0.5, 4)
	for name, factor := range map[string]float64{"conv1.weight": 1. / 16, "layer1.0.conv1.weight": 1. / 8, "layer2.0.conv1.weight": 1. / 4, "layer3.0.conv2.weight": 1. / 2, "fc.weight": 4} {
		if got := decayed[name] / plain[name]; got < 0.99*factor || got > 1.01*factor {
			t.Errorf("%s moved by %g of its step, want %g", name, got, factor)
		}
	}
}

func TestTuneRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*model.Spec)
		want   string
	}{
		"a part that is not there": {func(s *model.Spec) { s.Tune.Freeze = []string{"layer9"} }, "must be among body, stem, layer1, layer2, layer3, fc, heads"},
		"half a name":              {func(s *model.Spec) { s.Tune.Freeze = []string{"layer"} }, `"layer"`},
		"all":                      {func(s *model.Spec) { s.Tune.Freeze = []string{"body", "heads", "fc"} }, "must leave a part that learns"},
		"all of one module":        {func(s *model.Spec) { s.Method.Name, s.Tune.Freeze = "bp", []string{"body", "fc"} }, "must leave a part that learns"},
		"feedback alignment":       {func(s *model.Spec) { s.Method.Name, s.Tune.Freeze = "fa", []string{"stem"} }, "must be empty for method.name fa"},
		"greedy warm-up":           {func(s *model.Spec) { s.Method.Name, s.Tune.HeadWarmup = "greedy", 0.1 }, "must be 0 for method.name greedy"},
		"no decay":                 {func(s *model.Spec) { s.Tune.LayerDecay = -1 }, "tune.layer_decay"},
		"more than all":            {func(s *model.Spec) { s.Tune.LayerDecay = 1.5 }, "tune.layer_decay"},
		"an unknown beginning":     {func(s *model.Spec) { s.Tune.HeadInit = "best" }, "tune.head_init"},
		"nothing but warm-up":      {func(s *model.Spec) { s.Tune.HeadWarmup = 1 }, "tune.head_warmup"},
	} {
		before := torch.LiveBytes()
		m, err := model.New(tuned(tt.change))
		if !fault.Is(err) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if err == nil {
			m.Free()
		}
		if left := torch.LiveBytes() - before; left != 0 {
			t.Errorf("%s: %d bytes are left", name, left)
		}
	}
}
