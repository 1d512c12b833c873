package local_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/testdevice"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// twins are the same modules twice, on the test device: one chain, and one that is recorded.
func twins(t *testing.T, rule local.Rule, o optim.Options) (plain *local.Chain, recorded *local.Recorded) {
	t.Helper()
	chain := func() *local.Chain {
		return local.NewChain(threeModules(t, torch.TestDevice, o), rule, local.Together{}, torch.Float32)
	}
	recorded = local.NewRecorded(chain())
	t.Cleanup(recorded.Close)
	return chain(), recorded
}

// stepBoth takes a step with both.
func stepBoth(t *testing.T, plain, recorded local.Learner, at local.Tick) (want, got []local.Outcome) {
	t.Helper()
	for _, l := range []struct {
		learner local.Learner
		left    *[]local.Outcome
	}{{plain, &want}, {recorded, &got}} {
		x, y := batchOn(torch.TestDevice, uint64(at.Step))
		var err error
		if *l.left, err = l.learner.Step(x, y, at); err != nil {
			t.Fatal(err)
		}
	}
	return want, got
}

// sameBits compares parameters, running statistics and optimizer state.
func sameBits(t *testing.T, got, want []*local.Module) {
	t.Helper()
	for k, m := range want {
		for i, p := range m.Params {
			if !slices.Equal(got[k].Params[i].Value.Data(), p.Value.Data()) {
				t.Errorf("%s has other bits", p.Name)
			}
		}
		for i, s := range m.Optim.State() {
			if !slices.Equal(got[k].Optim.State()[i].Value.Data(), s.Value.Data()) {
				t.Errorf("module %d: the optimizer's %s has other bits", k+1, s.Name)
			}
		}
	}
}

func sameNumbers(t *testing.T, got, want []local.Outcome) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d outcomes, want %d", len(got), len(want))
	}
	same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
	for i, w := range want {
		for k, s := range w.Stats {
			g := got[i].Stats[k]
			if got[i].Tick != w.Tick || !same(g.Loss, s.Loss) || !same(g.SGR, s.SGR) || !same(g.Cos, s.Cos) {
				t.Errorf("step %d, module %d: %+v, want %+v", w.Step, k+1, g, s)
			}
		}
	}
}

// Recorded steps end with the bits of others, whatever changes from step to step, and take the processor few operations.
func TestRecordedStepsLearnTheSame(t *testing.T) {
	rules := deviceRules()
	reconcile := func(change func(*local.Reconcile)) local.Rule {
		term := &local.Reconcile{Lambda: 5, Normalize: true, Reduction: local.Batch, Gradient: local.Directional}
		change(term)
		return local.Rule{Objective: local.Classify{}, Term: term, Credit: local.Autograd{}}
	}
	rules["every second step"] = reconcile(func(r *local.Reconcile) { r.Every = 2 })
	rules["ramp"] = reconcile(func(r *local.Reconcile) { r.Ramp = 0.4 })
	rules["part of the batch"] = reconcile(func(r *local.Reconcile) { r.Fraction = 0.5 })
	rules["no weight"] = reconcile(func(r *local.Reconcile) { r.Lambda = 0 })
	sgd := optim.Options{Name: "sgd", Momentum: 0.9, WeightDecay: 5e-4}
	optimizers := map[string]optim.Options{"sgd": sgd}
	for name, o := range map[string]optim.Options{
		"adamw": {Name: "adamw"}, "lars": {Name: "lars", Momentum: 0.9}, "clip": {Name: "sgd", Clip: 0.5},
		"accumulate": {Name: "sgd", Accumulate: 3}, "ema": {Name: "sgd", EMA: 0.9},
	} {
		optimizers[name] = o
	}
	for name, rule := range rules {
		for of, o := range optimizers {
			if of != "sgd" && name != "layerwise" {
				continue
			}
			t.Run(name+" "+of, func(t *testing.T) {
				const steps = 14
				plain, recorded := twins(t, rule, o)
				var want, got []local.Outcome
				launched := 0
				for step := range steps {
					testdevice.Take()
					w, g := stepBoth(t, plain, recorded, local.Tick{Step: step, Done: float64(step) / steps, LR: 0.05 / float64(1+step)})
					c := testdevice.Take()
					launched += c.Launched["graph"]
					if c.Stalls > 2 { // one each
						t.Errorf("step %d: %v", step, c)
					}
					want, got = append(want, w...), append(got, g...)
				}
				if recorded.Refused() != nil || launched < 3 {
					t.Errorf("%d of %d steps were launched, refused: %v", launched, steps, recorded.Refused())
				}
				for learner, all := range map[local.Learner]*[]local.Outcome{plain: &want, recorded: &got} {
					left, err := learner.Drain()
					if err != nil {
						t.Fatal(err)
					}
					*all = append(*all, left...)
				}
				sameNumbers(t, got, want)
				sameBits(t, recorded.Modules(), plain.Modules())
			})
		}
	}
}

// A recorded step is a launch, a reading of its numbers and the updates.
func TestRecordedStepsAreFewOperations(t *testing.T) {
	plain, recorded := twins(t, deviceRules()["directional normalize=true"], optim.Options{Name: "sgd", Momentum: 0.9, WeightDecay: 5e-4})
	count := func(l local.Learner, step int) int {
		x, y := batchOn(torch.TestDevice, uint64(step))
		testdevice.Take()
		if _, err := l.Step(x, y, local.Tick{Step: step, LR: 0.05}); err != nil {
			t.Fatal(err)
		}
		return testdevice.Take().Operations
	}
	for step := range 4 {
		count(plain, step)
		count(recorded, step)
	}
	const updates = 3 * 4 // of three modules: decay, momentum twice, step
	const besides = 4     // two inputs copied, the launch, the reading
	before, now := count(plain, 4), count(recorded, 4)
	t.Logf("%d operations by the chain, %d recorded", before, now)
	if now > updates+besides || before < 10*now {
		t.Errorf("a recorded step takes %d operations, one by the chain %d; want at most %d", now, before, updates+besides)
	}
}

// The one-sided difference becomes a central one where losses are small: such steps are of another kind.
func TestRecordedStepsFollowTheLoss(t *testing.T) {
	plain, recorded := twins(t, deviceRules()["directional normalize=true"], optim.Options{Name: "sgd"})
	for step := range 16 {
		if step == 8 {
			for _, l := range []local.Learner{plain, recorded} {
				if _, err := l.Drain(); err != nil {
					t.Fatal(err)
				}
				for _, m := range l.Modules() {
					m.SetLastLoss(1e-4)
				}
			}
		}
		stepBoth(t, plain, recorded, local.Tick{Step: step, LR: 0.05})
	}
	sameBits(t, recorded.Modules(), plain.Modules())
}

// Kinds of steps come and go; only some are recorded at a time, and they share the memory that they work in.
func TestRecordedStepsOfManyKinds(t *testing.T) {
	rule := deviceRules()["directional normalize=true"]
	rule.Term.(*local.Reconcile).Every = 2
	plain, recorded := twins(t, rule, optim.Options{Name: "sgd", Momentum: 0.9})
	testdevice.Take()
	for step := range 80 {
		kind := step / 8 % 4 // which of two modules have losses below the bound, on top of steps with the term and without
		for _, l := range []local.Learner{plain, recorded} {
			if _, err := l.Drain(); err != nil {
				t.Fatal(err)
			}
			for k, m := range l.Modules()[1:] {
				m.SetLastLoss([]float64{1, 1e-4}[kind>>k&1])
			}
		}
		stepBoth(t, plain, recorded, local.Tick{Step: step, LR: 0.02})
	}
	if c := testdevice.Take(); c.Launched["graph"] != recorded.Launched() || recorded.Launched() < 40 {
		t.Errorf("%d launches, %d of them counted", recorded.Launched(), c.Launched["graph"])
	}
	sameBits(t, recorded.Modules(), plain.Modules())
}

// Weights that are written to are seen; weights that have gone elsewhere are recorded anew.
func TestRecordedStepsSeeNewWeights(t *testing.T) {
	plain, recorded := twins(t, deviceRules()["layerwise"], optim.Options{Name: "sgd"})
	step := 0
	some := func() {
		for range 5 {
			stepBoth(t, plain, recorded, local.Tick{Step: step, LR: 0.05})
			step++
		}
		sameBits(t, recorded.Modules(), plain.Modules())
	}
	some()
	for _, l := range []local.Learner{plain, recorded} {
		l.Modules()[1].Params[0].Value.Normal(0, 0.1, 5)
	}
	some()
	for _, l := range []local.Learner{plain, recorded} {
		m := l.Modules()[2]
		for _, p := range m.Params {
			s := torch.TestDevice.Scope(torch.NoGrad)
			moved := s.Clone(p.Value).Keep().SetRequiresGrad(p.Trainable)
			s.Close()
			p.Value.Free()
			p.Value = moved
		}
		m.Refresh(func(p []*nn.Param) optim.Optimizer { return optim.New(optim.Options{Name: "sgd"}, p) })
	}
	some()
	if recorded.Refused() != nil {
		t.Error(recorded.Refused())
	}
}

// Steps that draw are taken by the chain; the reason is told. So are those of a batch that is smaller.
func TestRecordedLeavesStepsToTheChain(t *testing.T) {
	rule := deviceRules()["layerwise"]
	plain, recorded := twins(t, rule, optim.Options{Name: "sgd"})
	for _, l := range []local.Learner{plain, recorded} {
		m := l.Modules()[0]
		m.Body = nn.Sequential{m.Body, nn.Dropout{Rate: 0.5}}
	}
	testdevice.Take()
	for step := range 6 {
		stepBoth(t, plain, recorded, local.Tick{Step: step, LR: 0.05})
	}
	if err := recorded.Refused(); err == nil || !strings.Contains(err.Error(), "chance: what comes from the host cannot be recorded") {
		t.Errorf("refused: %v", err)
	}
	sameBits(t, recorded.Modules(), plain.Modules())

	plain, recorded = twins(t, rule, optim.Options{Name: "sgd"})
	for step := range 12 {
		for _, l := range []local.Learner{plain, recorded} {
			x, y := batchOn(torch.TestDevice, uint64(step))
			if step%2 == 1 {
				x, y = first(x), first(y)
			}
			if _, err := l.Step(x, y, local.Tick{Step: step, LR: 0.05}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if c := testdevice.Take(); c.Launched["graph"] != 3 { // of six whole batches
		t.Errorf("%d launches, want 3", c.Launched["graph"])
	}
	sameBits(t, recorded.Modules(), plain.Modules())
}

// first returns the first two of t's rows. It consumes t.
func first(t torch.Tensor) torch.Tensor {
	defer t.Free()
	s := t.Device().Scope(torch.NoGrad)
	defer s.Close()
	return s.Clone(s.Narrow(t, 0, 0, 2)).Keep()
}

// A loss that is not finite is told as the chain tells it.
func TestRecordedStepsTellOfDivergence(t *testing.T) {
	_, recorded := twins(t, deviceRules()["layerwise"], optim.Options{Name: "sgd"})
	var err error
	for step := 0; step < 10 && err == nil; step++ {
		lr := 0.05
		if step == 5 {
			lr = math.Inf(1)
		}
		x, y := batchOn(torch.TestDevice, uint64(step))
		_, err = recorded.Step(x, y, local.Tick{Step: step, LR: lr})
	}
	var diverged *local.Diverged
	if !errors.As(err, &diverged) || diverged.Step != 6 || diverged.Module != 1 {
		t.Errorf("the error is %v, want that of module 1 at step 6", err)
	}
}

// What a recording has made goes with it.
func TestRecordingsAreFreed(t *testing.T) {
	testdevice.Take()
	for _, draws := range []bool{false, true} {
		t.Run(fmt.Sprint("draws ", draws), func(t *testing.T) {
			modules := threeModules(t, torch.TestDevice, optim.Options{Name: "sgd"})
			if draws {
				modules[1].Body = nn.Sequential{modules[1].Body, nn.Dropout{Rate: 0.5}}
			}
			recorded := local.NewRecorded(local.NewChain(modules, deviceRules()["layerwise"], local.Together{}, torch.Float32))
			before, tensors := testdevice.Take().Held, torch.LiveTensors()
			for step := range 5 {
				x, y := batchOn(torch.TestDevice, uint64(step))
				if _, err := recorded.Step(x, y, local.Tick{Step: step, LR: 0.05}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := recorded.Drain(); err != nil {
				t.Fatal(err)
			}
			recorded.Close()
			if after := testdevice.Take().Held; after != before || torch.LiveTensors() != tensors {
				t.Errorf("%d bytes and %d tensors more are there than before", after-before, torch.LiveTensors()-tensors)
			}
		})
	}
}
