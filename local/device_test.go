package local_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/locus-learn/locus/internal/testdevice"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// threeModules returns three modules on a device, with the same weights on each.
func threeModules(t *testing.T, device torch.Device, o optim.Options) []*local.Module {
	t.Helper()
	var all []*local.Module
	in, out := images.C, 6
	for k := 1; k <= 3; k++ {
		init := nn.Init{Seed: 3, Prefix: fmt.Sprint(k, "."), Device: device}
		body := nn.Block{Name: fmt.Sprint("block", k), Layer: nn.NewConvNormReLU(init, "conv", "bn", in, out, 3, 1)}
		head := nn.Sequential{nn.AvgPool{Side: 1}, nn.Flatten{}, nn.NewLinear(init.In("fc"), out, classes)}
		m := local.NewModule(k, k == 3, []nn.Block{body}, head, nil, func(p []*nn.Param) optim.Optimizer { return optim.New(o, p) })
		t.Cleanup(m.Free)
		all = append(all, m)
		in = out
	}
	return all
}

// batchOn returns a batch on a device, which the caller owns.
func batchOn(device torch.Device, seed uint64) (x, y torch.Tensor) {
	x, y = randomBatch(torch.Float32, seed)
	defer x.Free()
	defer y.Free()
	s := device.Scope(torch.NoGrad)
	defer s.Close()
	there := s.FromBytes(torch.Float32, x.Data(), x.Shape()...)
	return s.ChannelsLast(there).Keep(), s.FromBytes(torch.Int64, y.Data(), y.Shape()...).Keep()
}

// deviceRules are what is tried on a device. Their terms are large enough to matter.
func deviceRules() map[string]local.Rule {
	rules := map[string]local.Rule{"layerwise": {Objective: local.Classify{}, Term: local.None{}, Credit: local.Autograd{}}}
	for _, way := range []local.Way{local.Directional, local.Tangent, local.Double} {
		for _, normalize := range []bool{true, false} {
			term := &local.Reconcile{Lambda: 5, Normalize: normalize, Reduction: local.Batch, Gradient: way}
			rules[fmt.Sprintf("%s normalize=%v", way, normalize)] = local.Rule{Objective: local.Classify{}, Term: term, Credit: local.Autograd{}}
		}
	}
	return rules
}

// On a device the same is learned as on the CPU, nobody waits for it more than once a step, and what a step has found is told
// one step later.
func TestDeviceLearnsTheSameAndIsNotWaitedFor(t *testing.T) {
	const steps = 5
	for name, rule := range deviceRules() {
		t.Run(name, func(t *testing.T) {
			optimizer := optim.Options{Name: "sgd", Momentum: 0.9, WeightDecay: 5e-4, Clip: 2}
			here := local.NewChain(threeModules(t, torch.CPU, optimizer), rule, local.Together{}, torch.Float32)
			there := local.NewChain(threeModules(t, torch.TestDevice, optimizer), rule, local.Together{}, torch.Float32)
			var want, got []local.Outcome
			for step := range steps {
				at := local.Tick{Step: step, LR: 0.05}
				x, y := batchOn(torch.CPU, uint64(step))
				left, err := here.Step(x, y, at)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, left...)
				x, y = batchOn(torch.TestDevice, uint64(step))
				testdevice.Take()
				left, err = there.Step(x, y, at)
				if err != nil {
					t.Fatal(err)
				}
				if c := testdevice.Take(); c.Stalls > 1 {
					t.Errorf("step %d: %v", step, c)
				}
				if len(left) != min(step, 1) {
					t.Fatalf("step %d: %d outcomes", step, len(left))
				}
				got = append(got, left...)
			}
			left, err := there.Drain()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, left...)
			if left, err := there.Drain(); len(left) > 0 || err != nil {
				t.Errorf("drained twice: %v, %v", left, err)
			}
			sameOutcomes(t, got, want)
			for k, m := range there.Modules() {
				sameWeights(t, m, here.Modules()[k])
				if last := want[steps-1].Stats[k].Loss; math.Abs(m.LastLoss()-last) > 1e-3*last {
					t.Errorf("module %d: last loss %v, want %v", k+1, m.LastLoss(), last)
				}
			}
		})
	}
}

func sameOutcomes(t *testing.T, got, want []local.Outcome) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d outcomes, want %d", len(got), len(want))
	}
	near := func(a, b float64) bool {
		return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 2e-3*max(math.Abs(b), 0.1)
	}
	for i := range want {
		for k, w := range want[i].Stats {
			g := got[i].Stats[k]
			if got[i].Tick != want[i].Tick || !near(g.Loss, w.Loss) || !near(g.SGR, w.SGR) || !near(g.Cos, w.Cos) {
				t.Errorf("step %d, module %d: %+v, want %+v", i, k+1, g, w)
			}
		}
	}
}

func sameWeights(t *testing.T, got, want *local.Module) {
	t.Helper()
	for i, p := range got.Params {
		v, w := p.Value.Float64s(), want.Params[i].Value.Float64s()
		for j := range v {
			if !(math.Abs(v[j]-w[j]) <= 2e-3*max(1, math.Abs(w[j]))) {
				t.Errorf("%s[%d] is %v, want %v", p.Name, j, v[j], w[j])
				break
			}
		}
	}
}

// A step that should not have been taken is told one step late, and in time for a save, which drains first.
func TestDeviceTellsOfDivergenceInTimeForASave(t *testing.T) {
	rule := deviceRules()["layerwise"]
	c := local.NewChain(threeModules(t, torch.TestDevice, optim.Options{Name: "sgd"}), rule, local.Together{}, torch.Float32)
	step := func(step int, lr float64) error {
		x, y := batchOn(torch.TestDevice, uint64(step))
		_, err := c.Step(x, y, local.Tick{Step: step, LR: lr})
		return err
	}
	if err := step(0, math.Inf(1)); err != nil { // the weights are gone, but the loss was still good
		t.Fatal(err)
	}
	if err := step(1, 0.1); err != nil {
		t.Fatal(err)
	}
	var diverged *local.Diverged
	if _, err := c.Drain(); !errors.As(err, &diverged) || diverged.Step != 1 || diverged.Module != 1 {
		t.Errorf("the error is %v, want that of module 1 at step 1", err)
	}
}

// All that an evaluation counts comes in one reading.
func TestDeviceIsWaitedForOnceAnEvaluationBatch(t *testing.T) {
	rule := deviceRules()["layerwise"]
	here := local.NewChain(threeModules(t, torch.CPU, optim.Options{Name: "sgd"}), rule, local.Together{}, torch.Float32)
	there := local.NewChain(threeModules(t, torch.TestDevice, optim.Options{Name: "sgd"}), rule, local.Together{}, torch.Float32)
	want, err := here.Evaluate(batchOn(torch.CPU, 1))
	if err != nil {
		t.Fatal(err)
	}
	x, y := batchOn(torch.TestDevice, 1)
	testdevice.Take()
	got, err := there.Evaluate(x, y)
	if err != nil {
		t.Fatal(err)
	}
	if c := testdevice.Take(); c.Stalls > 1 {
		t.Error(c)
	}
	for k, w := range want {
		if g := got[k]; g.Top1 != w.Top1 || g.Top5 != w.Top5 || g.N != w.N || math.Abs(g.Loss-w.Loss) > 1e-4*w.Loss {
			t.Errorf("module %d: %+v, want %+v", k+1, g, w)
		}
	}
}
