package local_test

import (
	"errors"
	"math"
	"reflect"
	"regexp"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// sameAfter trains two compositions from the same seed and wants the same bits.
func sameAfter(t *testing.T, steps int, a, b method.Options) {
	t.Helper()
	left, right := chain(t, resnet, a, torch.Float32), chain(t, resnet, b, torch.Float32)
	start := stateOf(left.Modules()...)
	train(t, left, steps)
	train(t, right, steps)
	got, want := stateOf(left.Modules()...), stateOf(right.Modules()...)
	if reflect.DeepEqual(got, start) {
		t.Fatal("nothing was learned")
	}
	if !reflect.DeepEqual(got, want) {
		t.Error("the weights differ")
	}
}

func TestOneModuleIsBackPropagation(t *testing.T) {
	sameAfter(t, 3, method.Options{Name: "layerwise", Modules: 1}, method.Options{Name: "bp"})
}

func TestLambdaZeroIsLayerwise(t *testing.T) {
	for _, gradient := range []string{"directional", "double"} {
		t.Run(gradient, func(t *testing.T) {
			o := sgr(gradient)
			o.Lambda = 0
			sameAfter(t, 3, o, method.Options{Name: "layerwise", Modules: 3})
		})
	}
}

func TestSameSeedSameWeights(t *testing.T) {
	for _, gradient := range []string{"directional", "double"} {
		t.Run(gradient, func(t *testing.T) { sameAfter(t, 3, sgr(gradient), sgr(gradient)) })
	}
}

// scaled multiplies the loss of one module.
type scaled struct {
	module int
	factor float64
}

func (o scaled) Loss(p *nn.Pass, m *local.Module, x torch.Tensor, in local.Signal) torch.Tensor {
	loss := local.Classify{}.Loss(p, m, x, in)
	if m.Index != o.module {
		return loss
	}
	defer loss.Free()
	return p.Scale(loss, o.factor)
}

func clone(s *torch.Scope, in local.Signal) local.Signal {
	out := local.Signal{X: s.Clone(in.X).Keep(), Y: s.Clone(in.Y).Keep()}
	if in.Delta.Defined() {
		out.Delta = s.Clone(in.Delta).Keep()
	}
	return out
}

// drive trains fresh modules once and returns the state of each. pass sees, and may exchange, what module k gets.
func drive(t *testing.T, o method.Options, objective local.Objective, pass func(k int, in local.Signal) local.Signal) []state {
	t.Helper()
	c := chain(t, resnet, o, torch.Float32)
	c.Rule.Objective = objective
	x, y := randomBatch(torch.Float32, 1)
	signal := local.Signal{X: x, Y: y}
	var states []state
	for _, m := range c.Modules() {
		signal, _, _ = c.Rule.Train(m, pass(m.Index, signal), torch.Float32, local.Tick{LR: 0.1})
		states = append(states, stateOf(m))
	}
	signal.Free()
	return states
}

// Another loss of module j leaves the modules before it alone, and those behind it when they get the signal that they
// got before. The Delta of SGR is the one thing by which it reaches the next module in the same step.
func TestModulesAreIsolated(t *testing.T) {
	raw := sgr("directional")
	raw.Normalize = false // normalised, a scaled gradient is the same gradient
	double := raw
	double.Gradient = "double"
	for name, o := range map[string]method.Options{
		"layerwise": {Name: "layerwise", Modules: 3}, "sgr directional": raw, "sgr double": double,
	} {
		t.Run(name, func(t *testing.T) { checkIsolation(t, o) })
	}
}

func checkIsolation(t *testing.T, o method.Options) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	recorded := map[int]local.Signal{}
	defer func() {
		for _, r := range recorded {
			r.Free()
		}
	}()
	base := drive(t, o, local.Classify{}, func(k int, in local.Signal) local.Signal {
		recorded[k] = clone(s, in)
		return in
	})
	for j := 1; j <= 3; j++ {
		live := drive(t, o, scaled{j, 2}, func(_ int, in local.Signal) local.Signal { return in })
		replayed := drive(t, o, scaled{j, 2}, func(k int, in local.Signal) local.Signal {
			if k <= j {
				return in
			}
			in.Free()
			return clone(s, recorded[k])
		})
		for k := 1; k <= 3; k++ {
			if same := reflect.DeepEqual(replayed[k-1], base[k-1]); same != (k != j) {
				t.Errorf("module %d's loss changed, signals replayed: module %d the same is %v", j, k, same)
			}
			reached := k == j || k == j+1 && o.Name == "sgr"
			if same := reflect.DeepEqual(live[k-1], base[k-1]); same == reached {
				t.Errorf("module %d's loss changed: module %d the same is %v", j, k, same)
			}
		}
	}
}

// nothingLeft fails the test when f leaves a tensor behind.
func nothingLeft(t *testing.T, f func()) {
	t.Helper()
	tensors, bytes := torch.LiveTensors(), torch.LiveBytes()
	f()
	if n, b := torch.LiveTensors()-tensors, torch.LiveBytes()-bytes; n != 0 || b != 0 {
		t.Errorf("%d tensors and %d bytes are left", n, b)
	}
}

// collapse trains twice and then lets the loss of module k become what pixel and objective make of it. It returns
// what has changed in the modules from k on, of which nothing should.
func collapse(t *testing.T, k int, pixel float64, o local.Objective) (changed []string) {
	t.Helper()
	c := chain(t, resnet, sgr("directional"), torch.Float32)
	train(t, c, 2)
	c.Rule.Objective = o
	rest := c.Modules()[k-1:]
	before, inertia := stateOf(rest...), momentum(rest)
	nothingLeft(t, func() {
		x, y := randomBatch(torch.Float32, 3)
		torch.ForeachScale([]torch.Tensor{x}, pixel)
		_, err := c.Step(x, y, local.Tick{Step: 7, LR: 0.1})
		var d *local.Diverged
		if !errors.As(err, &d) || d.Module != k || d.Step != 7 {
			t.Errorf("error %v, want one of module %d at step 7", err, k)
		}
	})
	after := stateOf(rest...)
	if !reflect.DeepEqual(momentum(rest), inertia) {
		changed = append(changed, "momentum")
	}
	for _, m := range rest {
		for _, p := range m.Params {
			if !reflect.DeepEqual(after[p.Name], before[p.Name]) {
				changed = append(changed, p.Name)
			}
		}
	}
	return changed
}

func momentum(modules []*local.Module) state {
	s := state{}
	for _, m := range modules {
		for _, b := range m.Optim.State() {
			s[b.Name] = b.Value.Float64s()
		}
	}
	return s
}

// Parameters of the modules from the diverging one on are as they were: [local.Learner] says so.
func TestDivergedNamesModuleAndStep(t *testing.T) {
	for _, tt := range []struct {
		name   string
		module int
		pixel  float64
		o      local.Objective
	}{
		{"NaN image", 1, math.NaN(), local.Classify{}},
		{"NaN loss", 2, 1, scaled{2, math.NaN()}},
		{"infinite loss", 3, 1, scaled{3, math.Inf(1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			statistic := regexp.MustCompile(`\.(running_mean|running_var|num_batches_tracked)$`)
			for _, name := range collapse(t, tt.module, tt.pixel, tt.o) {
				if !statistic.MatchString(name) { // those have seen the batch
					t.Errorf("%s has changed", name)
				}
			}
		})
	}
}

// With Every = n the term acts on steps 0, n, 2n, …, and the others are plain layer-wise steps, bit for bit.
func TestEveryLeavesStepsOut(t *testing.T) {
	o := sgr("directional")
	o.Every = 2
	c := chain(t, resnet, o, torch.Float32)
	plain := sgr("directional")
	plain.Name = "layerwise"
	p := chain(t, resnet, plain, torch.Float32)
	for step, acts := range []bool{true, false, true, false} {
		for k, m := range c.Modules() { // start each step alike
			for i, q := range m.Params {
				p.Modules()[k].Params[i].Value.Copy(q.Value)
			}
			for i, s := range m.Optim.State() {
				p.Modules()[k].Optim.State()[i].Value.Copy(s.Value)
			}
		}
		var stats []local.Stats
		for _, c := range []*local.Chain{p, c} {
			x, y := randomBatch(torch.Float32, uint64(step))
			left, err := c.Step(x, y, local.Tick{Step: step, LR: 0.1})
			if err != nil {
				t.Fatal(err)
			}
			stats = left[0].Stats
		}
		last := len(stats) - 1
		same := reflect.DeepEqual(stateOf(c.Modules()[last]), stateOf(p.Modules()[last]))
		if same == acts || math.IsNaN(stats[last].Cos) == acts {
			t.Errorf("step %d: same as layer-wise: %v, cosine %v; the term should act: %v", step, same, stats[last].Cos, acts)
		}
	}
}

// With Ramp the weight is λ·done/ramp and from then on λ, bit for bit.
func TestRampRaisesLambda(t *testing.T) {
	builds := map[string]func(lambda, ramp float64) *local.Chain{
		"sgr": func(lambda, ramp float64) *local.Chain {
			o := sgr("directional")
			o.Lambda, o.Ramp = lambda, ramp
			return chain(t, resnet, o, torch.Float32)
		},
		"etf-sgr": func(lambda, ramp float64) *local.Chain {
			return unitChain(t, method.Options{Name: "etf-sgr", Reduction: "batch", Lambda: lambda, Ramp: ramp}, "plain7", torch.Float32)
		},
	}
	after := func(c *local.Chain, done float64) state {
		x, y := randomBatch(torch.Float32, 1)
		if _, err := c.Step(x, y, local.Tick{Done: done, LR: 0.1}); err != nil {
			t.Fatal(err)
		}
		return stateOf(c.Modules()...)
	}
	const lambda, ramp = 4, 0.5
	for name, build := range builds {
		for done, share := range map[float64]float64{0: 0, 0.125: 0.25, 0.5: 1, 0.75: 1} {
			ramped, want := after(build(lambda, ramp), done), after(build(lambda*share, 0), done)
			if !reflect.DeepEqual(ramped, want) {
				t.Errorf("%s: at %g of the training the step is not that of λ = %g", name, done, lambda*share)
			}
			if full := after(build(lambda, 0), done); reflect.DeepEqual(ramped, full) != (share == 1) {
				t.Errorf("%s: at %g of the training the step is that of λ = %g: %v", name, done, float64(lambda), share != 1)
			}
		}
	}
}
