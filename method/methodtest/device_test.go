package methodtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/locus-learn/locus/internal/testdevice"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// all lists the suite's subjects and their variants.
func all(t *testing.T) []Subject {
	t.Helper()
	subjects, err := Subjects(1)
	if err != nil {
		t.Fatal(err)
	}
	more, err := Variants(1)
	if err != nil {
		t.Fatal(err)
	}
	return append(subjects, more...)
}

// Every method, network, head, optimizer and kind of data of the suite learns on a device what it learns on the CPU.
func TestDevicesEndAtTheCPUsWeights(t *testing.T) {
	for _, s := range all(t) {
		t.Run(s.Name, func(t *testing.T) {
			before := testdevice.Take().Held
			Compare(s, torch.TestDevice, func(f Finding) {
				if f.Failed() {
					t.Error(f.Failure)
				}
				if strings.HasPrefix(f.Note, "not recorded") && !strings.Contains(f.Note, "normal:") && !strings.Contains(f.Note, "chance:") {
					t.Errorf("nothing is drawn at random, and steps are %s", f.Note)
				}
				t.Logf("%s (%.2f s)", f.Note, f.Seconds)
			})
			if testdevice.Take().Operations == 0 {
				t.Error("nothing has run on the device")
			}
			torch.FreeConstants()
			// Autograd goes back in a thread of its own on a device, which lets go of its last tensors a little later.
			left := func() int64 { return testdevice.Take().Held - before }
			for began := time.Now(); left() != 0 && time.Since(began) < 5*time.Second; {
				time.Sleep(time.Millisecond)
			}
			if n := left(); n != 0 {
				t.Errorf("%d bytes are left on the device", n)
			}
		})
	}
}

// What is done otherwise on a device is found, and so is a constant that was left on the CPU.
func TestFaultsOfDevicesAreFound(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		loss       objective
	}{
		{"another loss", "in float64", func(p *nn.Pass, m *local.Module, xk torch.Tensor, in local.Signal) torch.Tensor {
			factor := 1.0
			if xk.Device() != torch.CPU {
				factor = 1 + 1e-4
			}
			return times(p, m, xk, in, factor)
		}},
		{"a constant of the CPU", "same device", func(p *nn.Pass, m *local.Module, xk torch.Tensor, in local.Signal) torch.Tensor {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			return p.Sum(p.Mul(times(p, m, xk, in, 1), s.Full(torch.Float32, 1, 2)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := newSubject("layerwise", 1, false)
			if err != nil {
				t.Fatal(err)
			}
			s.only = "device"
			s.inject = func(c *local.Chain) { c.Rule.Objective = tt.loss }
			Run(s.On(torch.TestDevice), func(f Finding) {
				if !strings.Contains(f.Failure, tt.want) {
					t.Errorf("found %q, want %q", f.Failure, tt.want)
				}
			})
		})
	}
}

// A step waits for the device at most once, and copies to the host a handful of numbers a module: loss, agreement, and whether
// all is finite.
func TestStepsHardlyWaitForADevice(t *testing.T) {
	const stalls, perModule = 1, 32
	for _, s := range all(t) {
		if s.spec.Method.Pipeline > 0 {
			continue // its steps are those of the chain
		}
		t.Run(s.Name, func(t *testing.T) {
			c, modules := count(t, s, false)
			if most := int64(perModule * modules); c.Stalls > stalls || c.ToHost > most {
				t.Errorf("%d stalls and %d bytes to the host, want at most %d and %d", c.Stalls, c.ToHost, stalls, most)
			}
			t.Log(c)
		})
	}
}

// count returns what a step of a subject costs on the device, behind those that make what lasts, and the number of modules.
func count(t *testing.T, s Subject, record bool) (c testdevice.Counts, modules int) {
	t.Helper()
	r, err := s.trialOn(torch.TestDevice, s.spec.DType)
	if err != nil {
		t.Fatal(err)
	}
	defer r.free()
	steps, learner := 2, local.Learner(r.Chain)
	if record {
		steps, learner = recordedSteps, local.NewRecorded(r.Chain)
	}
	defer learner.Close()
	for step := range steps {
		x, y := r.batch(uint64(step))
		testdevice.Take()
		if _, err := learner.Step(x, y, local.Tick{Step: step, LR: 0.01}); err != nil {
			t.Fatal(err)
		}
		c = testdevice.Take()
	}
	if _, err := learner.Drain(); err != nil {
		t.Fatal(err)
	}
	return c, len(r.Modules())
}

// Reconciliation launches less than twice what local losses alone do.
func TestReconciliationLaunchesFewOperations(t *testing.T) {
	operations := map[string]int{}
	for _, name := range []string{"layerwise", "sgr"} {
		s := Subject{Name: name, spec: smallSpec(name, 1)}
		s.spec.Net = zoo.Options{Name: "resnet32", Width: 4}
		c, _ := count(t, s, false)
		operations[name] = c.Operations
		t.Log(c.Launched)
	}
	ratio := float64(operations["sgr"]) / float64(operations["layerwise"])
	t.Logf("%v, ratio %.2f", operations, ratio)
	most := 1.9
	if strings.HasPrefix(torch.Describe().Version, "1.") { // which has no launch that scales a list by a number on the device
		most = 2
	}
	if ratio > most {
		t.Errorf("sgr launches %.2f times the operations of layerwise, want at most %.1f", ratio, most)
	}
}

// A step that the device has recorded is a launch, a reading and the modules' updates, however many operations it repeats.
func TestRecordedStepsLaunchFewOperations(t *testing.T) {
	for _, tt := range []struct {
		method  string
		modules int
	}{{"bp", 1}, {"layerwise", 3}, {"sgr", 3}, {"layerwise", 16}, {"sgr", 16}} {
		t.Run(fmt.Sprint(tt.method, " K=", tt.modules), func(t *testing.T) {
			s := Subject{Name: tt.method, spec: smallSpec(tt.method, 1)}
			s.spec.Net = zoo.Options{Name: "resnet32", Width: 4}
			s.spec.Method.Modules = tt.modules
			s.spec.Optim = optim.Options{Name: "sgd", Momentum: 0.9, WeightDecay: 5e-4}
			plain, _ := count(t, s, false)
			c, _ := count(t, s, true)
			t.Logf("%d operations, recorded %d", plain.Operations, c.Operations)
			const each, besides = 4, 4 // an update is of four; inputs, the launch, the reading
			if most := each*tt.modules + besides; c.Operations > most || c.Stalls > 1 {
				t.Errorf("want at most %d operations and a stall: %v", most, c)
			}
		})
	}
}
