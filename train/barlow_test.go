package train_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/train"
)

// twins turns the small recipe into one without labels.
func twins(method string) []string {
	return []string{
		"method.name=" + method, "data.augment=barlow", "head.widths=8,16,16", "method.lambda=0.1",
		"probe.epochs=3", "probe.neighbours=5", "probe.batch=16", "threads=1",
	}
}

// Runs without labels are measured by neighbours at each evaluation and by a probe at the end, go on bit for bit when
// they were stopped, and are evaluated afterwards to the same.
func TestRunsWithoutLabels(t *testing.T) {
	for _, method := range []string{"barlow", "barlow-blockwise", "barlow-sgr"} {
		t.Run(method, func(t *testing.T) {
			b := newWorkbench(t)
			whole := newSpy()
			s, err := b.run(t, t.Context(), "whole", whole, false, twins(method)...)
			if err != nil {
				t.Fatal(err)
			}
			modules := s.Modules
			if !s.KNN || len(s.ProbeAcc) != modules || len(s.ProbeTop5) != modules || len(s.ModuleAcc) != modules {
				t.Errorf("the summary has %+v", s)
			}
			for _, e := range whole.epochs {
				if len(e.ModuleAcc) != modules || math.IsNaN(e.TestAcc) || e.TestAcc != e.ModuleAcc[modules-1] {
					t.Errorf("epoch %d has accuracies %v, of the last module %g", e.Epoch, e.ModuleAcc, e.TestAcc)
				}
			}

			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			spy := newSpy()
			spy.at, spy.fire = 7, stop
			if _, err := b.run(t, ctx, "parts", spy, false, twins(method)...); !errors.Is(err, train.ErrInterrupted) {
				t.Fatal(err)
			}
			again, err := b.run(t, t.Context(), "parts", nil, true, twins(method)...)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(again.ProbeAcc, s.ProbeAcc) || again.TestAcc != s.TestAcc {
				t.Errorf("stopped and resumed: probe %v and %g, want %v and %g", again.ProbeAcc, again.TestAcc, s.ProbeAcc, s.TestAcc)
			}

			trained, err := train.Open(filepath.Join(b.dir, "whole"))
			if err != nil {
				t.Fatal(err)
			}
			defer trained.Free()
			e, err := trained.Evaluate(t.Context(), train.Test, b.dir, func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			for k, h := range e.Heads {
				if h.Top1 != s.ModuleAcc[k] {
					t.Errorf("module %d: evaluated to %g, the run said %g", k+1, h.Top1, s.ModuleAcc[k])
				}
			}
			var refused *fault.Fault
			if _, err := trained.Predict("image.png", 0); !errors.As(err, &refused) {
				t.Errorf("a prediction returns %v", err)
			}
		})
	}
}

// Views that are the same teach nothing, and neither does a batch of one image.
func TestTwoViewsMustDiffer(t *testing.T) {
	b := newWorkbench(t)
	for _, set := range []string{"data.augment=none", "data.batch=1"} {
		c, err := train.Load(filepath.Join(b.dir, "small.yaml"), append(twins("barlow"), set))
		if err != nil {
			t.Fatal(err)
		}
		_, err = train.FromRecipe(c, train.Options{Data: b.dir, Out: filepath.Join(b.dir, "out"), Steps: 1})
		var refused *fault.Fault
		if !errors.As(err, &refused) {
			t.Errorf("%s: the error is %v", set, err)
		}
	}
}
