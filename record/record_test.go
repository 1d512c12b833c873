package record

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// same compares events; NaN equals NaN, and a missing list equals an empty one.
func same(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func steps(n, modules, every int) []Step {
	var out []Step
	for i := every; i <= n; i += every {
		loss := 2 * math.Exp(-float64(i)/float64(n))
		s := Step{Step: i, Epoch: 1 + (i-1)/10, Loss: loss, LR: 0.1, Seconds: 0.25, ImagesPerSecond: 512}
		for k := range modules {
			s.ModuleLoss = append(s.ModuleLoss, loss+float64(modules-1-k)/10)
			s.SGRLoss = append(s.SGRLoss, 0.5)
			s.SGRCos = append(s.SGRCos, 1-loss/4)
			s.ModuleBusy = append(s.ModuleBusy, 0.125)
			s.ModuleWait = append(s.ModuleWait, 0.0625)
		}
		s.SGRLoss[0], s.SGRCos[0] = math.NaN(), math.NaN()
		out = append(out, s)
	}
	return out
}

func epochs(n, modules int) []Epoch {
	var out []Epoch
	for i := 1; i <= n; i++ {
		acc := 90 * (1 - math.Exp(-float64(i)))
		e := Epoch{
			Epoch: i, Step: 10 * i, TrainLoss: 1 / float64(i), TestAcc: acc, TestTop5: acc + 5, LR: 0.1, Seconds: 2.5,
			ImagesPerSecond: 512, PeakBytes: 300 << 20, RestingBytes: 100 << 20,
		}
		for k := range modules {
			e.ModuleAcc = append(e.ModuleAcc, acc-float64(modules-1-k))
			e.ModuleTop5 = append(e.ModuleTop5, acc+5)
			e.ModuleBusy = append(e.ModuleBusy, 0.125)
			e.ModuleWait = append(e.ModuleWait, 0.0625)
		}
		out = append(out, e)
	}
	return out
}

// feed sends a run to the sink, each epoch after the step that ends it, and closes it.
func feed(t *testing.T, sink Sink, start Start, steps []Step, epochs []Epoch) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(sink.Start(start))
	for _, s := range steps {
		check(sink.Step(s))
		for _, e := range epochs {
			if e.Step == s.Step {
				check(sink.Epoch(e))
			}
		}
	}
	check(sink.Close())
}

// spy counts calls and fails them with err.
type spy struct {
	calls int
	err   error
}

func (s *spy) Start(Start) error         { s.calls++; return s.err }
func (s *spy) Step(Step) error           { s.calls++; return s.err }
func (s *spy) Epoch(Epoch) error         { s.calls++; return s.err }
func (s *spy) Diagnosis(Diagnosis) error { s.calls++; return s.err }
func (s *spy) Close() error              { s.calls++; return s.err }

func TestTeeReachesAllDespiteAFailure(t *testing.T) {
	full := errors.New("disk is full")
	bad, good := &spy{err: full}, &spy{}
	sink := Tee(bad, good)
	for i, err := range []error{sink.Start(Start{}), sink.Step(Step{}), sink.Epoch(Epoch{}), sink.Diagnosis(Diagnosis{}), sink.Close()} {
		if !errors.Is(err, full) {
			t.Errorf("call %d: error %v, want %v", i, err, full)
		}
	}
	if bad.calls != 5 || good.calls != 5 {
		t.Errorf("calls = %d and %d, want 5 each", bad.calls, good.calls)
	}
	if err := Tee().Close(); err != nil {
		t.Errorf("an empty tee fails: %v", err)
	}
}

func TestAFullDiskSurfaces(t *testing.T) {
	full := func() appender {
		f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip(err)
		}
		return appender{path: "/dev/full", f: f}
	}
	for name, sink := range map[string]Sink{"jsonl": &JSONL{file: full()}, "tensorboard": &TensorBoard{full()}} {
		t.Run(name, func(t *testing.T) {
			// Each is kept, so that all of them are missing at the end.
			for _, err := range []error{sink.Step(Step{}), sink.Epoch(Epoch{}), sink.Diagnosis(Diagnosis{}), sink.Close()} {
				if err == nil || !strings.Contains(err.Error(), "no space left") {
					t.Errorf("error = %v, want no space left", err)
				}
			}
		})
	}
}

// A run that goes on elsewhere keeps where it was; one that goes on where it was has nothing to tell.
func TestEnvContinues(t *testing.T) {
	here := Env{Version: "v1", Commit: "0123456789", CPU: "A", Engine: "libtorch 1", Threads: 2}
	other := here
	other.CPU, other.Commit, other.Modified = "B", "abcdefghij", true
	third := here
	third.Engine = "libtorch 2"
	var now Env
	for i, c := range []struct {
		env     Env
		says    string
		earlier int
	}{
		{here, "", 0},
		{other, "locus v1 abcdefg with changes, before v1 0123456; processor B, before A", 1},
		{other, "", 1},
		{third, "locus v1 0123456, before v1 abcdefg with changes; engine libtorch 2, before libtorch 1; processor A, before B", 2},
	} {
		before := now
		if i == 0 {
			before = here
		}
		now = c.env
		if says := now.Continues(before); says != c.says || len(now.Earlier) != c.earlier {
			t.Errorf("%d: says %q and keeps %d, want %q and %d", i, says, len(now.Earlier), c.says, c.earlier)
		}
	}
	if now.Earlier[0].CPU != "A" || now.Earlier[1].CPU != "B" || now.Earlier[1].Earlier != nil {
		t.Errorf("kept %+v", now.Earlier)
	}
}
