package model_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/store"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// trained takes steps and returns what every module holds and what the steps and an evaluation found, times taken out.
func trained(t *testing.T, spec model.Spec, kept func(modules int) local.Store) (held map[string][]byte, found string) {
	t.Helper()
	before := torch.LiveBytes()
	m, err := model.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		m.Free()
		if left := torch.LiveBytes() - before; left != 0 {
			t.Errorf("%d bytes are left", left)
		}
	}()
	if m.Streams() {
		if spec.Method.Signals == "spill" {
			q := store.NewQueue(t.TempDir(), m.Device())
			defer q.Close()
			m.Chain.Queue = q
		}
		if err := m.Begin(kept(len(m.Modules())), func(*local.Module) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	var left []local.Outcome
	const steps = 7
	for step := range steps {
		x, y := randomBatch(m, step)
		some, err := m.Learner.Step(x, y, local.Tick{Step: step, Done: float64(step) / steps, LR: 0.05})
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, some...)
	}
	rest, err := m.Learner.Drain()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range append(left, rest...) {
		for k := range o.Stats {
			o.Stats[k].Busy, o.Stats[k].Wait = 0, 0
		}
		found += fmt.Sprintln(o)
	}
	if m.Views() == 1 {
		scores, err := m.Learner.Evaluate(randomBatch(m, 99))
		if err != nil {
			t.Fatal(err)
		}
		found += fmt.Sprintln(scores)
	}
	held = map[string][]byte{}
	err = m.Each(false, func(module *local.Module) error {
		for _, h := range module.Held() {
			held[h.Name] = h.Value.Data()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return held, found
}

// randomBatch returns images of a step, in as many views as the model's method wants, and labels.
func randomBatch(m *model.Model, step int) (x, y torch.Tensor) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	const n = 4
	x = s.Full(torch.Float32, 0, int64(n*m.Views()), 3, 16, 16)
	x.Normal(0, 1, uint64(step))
	x = s.Cast(x, m.DType)
	labels := make([]int64, n)
	for i := range labels {
		labels[i] = int64((i + step) % 4)
	}
	return x.Keep(), s.FromInts(labels).Keep()
}

func inMemory(modules int) local.Store { return store.NewMemory(modules) }

// Whatever is in memory, however many batches a module trains on in a row, and wherever signals wait: weights, optimizer
// state, losses and answers are those of lock-step, bit for bit.
func TestStreamIsLockStepBitForBit(t *testing.T) {
	units := func(s *model.Spec) { s.Net = zoo.Options{Name: "plain7", Depth: 7, Width: 4} }
	adamw := func(s *model.Spec) { s.Optim.Name, s.Optim.LR = "adamw", 0.01 }
	for _, tt := range []struct {
		name   string
		change func(*model.Spec)
	}{
		{"layerwise", adamw},
		{"sgr", func(s *model.Spec) { s.Method.Gradient, s.Method.Lambda = "directional", 100; adamw(s) }},
		{"sgr", func(s *model.Spec) { s.Method.Gradient, s.Method.Lambda = "tangent", 100 }},
		{"sgr", func(s *model.Spec) { s.Method.Every, s.Method.Ramp, s.Optim.EMA = 2, 0.5, 0.9 }},
		{"sgr", func(s *model.Spec) { s.DType = torch.BFloat16; s.Optim.Clip = 0.1 }},
		{"sgr", func(s *model.Spec) { s.Method.Fraction, s.Method.Lambda = 0.5, 100 }},
		{"greedy", nil}, {"dgl", adamw}, {"infopro", nil}, {"infopro-contrast", nil},
		{"reforward", func(s *model.Spec) { s.Optim.Accumulate, s.Optim.EMA = 3, 0.9; adamw(s) }},
		{"etf", units}, {"etf-sgr", units}, {"etf-reforward", units}, {"drtp", units},
		{"barlow-blockwise", func(s *model.Spec) { s.Head.Widths = []int{12, 12}; s.Optim.Name = "lars" }},
		{"barlow-sgr", func(s *model.Spec) { s.Head.Widths = []int{12, 12} }},
	} {
		spec := func(resident, visit int, signals string) model.Spec {
			return small(func(s *model.Spec) {
				s.Method.Name, s.Method.Modules = tt.name, 4
				if tt.change != nil {
					tt.change(s)
				}
				s.Method.Resident, s.Method.Visit, s.Method.Signals = resident, visit, signals
			})
		}
		want, wantFound := trained(t, spec(0, 0, ""), nil)
		for _, how := range []struct {
			resident, visit int
			signals         string
		}{{1, 1, "memory"}, {2, 3, "spill"}, {3, 16, "memory"}} {
			t.Run(fmt.Sprint(tt.name, spec(0, 0, "").Method.Gradient, how), func(t *testing.T) {
				held, found := trained(t, spec(how.resident, how.visit, how.signals), inMemory)
				if found != wantFound {
					t.Errorf("outcomes\n%s, want\n%s", found, wantFound)
				}
				if len(held) != len(want) {
					t.Errorf("%d tensors are held, want %d", len(held), len(want))
				}
				for name, data := range want {
					if !bytes.Equal(held[name], data) {
						t.Errorf("%s differs", name)
					}
				}
			})
		}
	}
}

// Of what modules hold, no more is in memory than of those that may be: exactly with one, and with two at the highest.
func TestStreamHoldsSoManyModules(t *testing.T) {
	spec := func(resident int) model.Spec {
		return small(func(s *model.Spec) {
			s.Net = zoo.Options{Name: "mlp", Depth: 8, Width: 256}
			s.Method.Name, s.Method.Modules, s.Method.Resident, s.Method.Visit = "layerwise", 8, resident, 1
			s.Head.Name, s.Optim.Name = "linear", "adamw"
		})
	}
	peak := func(resident int) int64 {
		before := torch.LiveBytes()
		torch.ResetPeak()
		trained(t, spec(resident), inMemory)
		return torch.PeakBytes() - before
	}
	m, err := model.New(spec(0))
	if err != nil {
		t.Fatal(err)
	}
	all, first, second := m.RestingBytes(), m.Modules()[0].RestingBytes(), m.Modules()[1].RestingBytes()
	m.Free()
	whole := peak(0)
	step := whole - all // what a step takes besides
	for resident, want := range map[int]int64{1: first, 2: first + second, 4: first + 3*second} {
		if got := peak(resident) - step; got > want || got < want*8/10 {
			t.Errorf("%d modules in memory: %d bytes of what they hold, want at most %d", resident, got, want)
		}
	}
}

func TestWhatCannotStream(t *testing.T) {
	for name, want := range map[string]string{
		"bp": "fits methods", "fa": "fits methods", "dfa": "fits methods", "pepita": "fits methods", "barlow": "fits methods",
		"sgr": "must be at most 3, the number of modules",
	} {
		_, _, err := method.Lookup(method.Options{Name: name, Modules: 3, Resident: 4, Visit: 1})
		if !fault.Is(err) || !strings.Contains(err.Error(), "method.resident is 4") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, _, err := method.Lookup(method.Options{Name: "sgr", Modules: 3, Resident: 1, Pipeline: 2})
	if !fault.Is(err) || !strings.Contains(err.Error(), "method.pipeline") {
		t.Error(err)
	}
	_, err = model.New(small(func(s *model.Spec) {
		s.Net, s.Method.Name, s.Method.Resident = zoo.Options{Name: "plain7", Depth: 4, Width: 4}, "drtp", 9
	}))
	if !fault.Is(err) || !strings.Contains(err.Error(), "must be at most 3, the number of modules") {
		t.Error(err)
	}
}
