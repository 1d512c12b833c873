package train_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/train"
)

// Rates rise by a constant factor and repeat exactly, in lock-step as in a pipeline; the trial ends where the loss has risen or
// is no number; interrupted, it has what was tried.
func TestTryRates(t *testing.T) {
	b := newWorkbench(t)
	try := func(ctx context.Context, o train.RateOptions, sets ...string) (train.Rates, error) {
		c, err := train.Load(filepath.Join(b.dir, "small.yaml"), append([]string{"threads=1"}, sets...))
		if err != nil {
			t.Fatal(err)
		}
		o.Data = b.dir
		return train.TryRates(ctx, c, o)
	}
	gentle := train.RateOptions{From: 1e-4, To: 1e-2, Steps: 12} // more than an epoch
	plain, err := try(t.Context(), gentle)
	if err != nil || len(plain.Points) != 12 || plain.Rose {
		t.Fatalf("%d points, rose %v, %v", len(plain.Points), plain.Rose, err)
	}
	for i, p := range plain.Points {
		want := 1e-4 * math.Pow(100, float64(i)/11)
		mean := (p.Modules[0] + p.Modules[1] + p.Modules[2]) / 3
		if math.Abs(p.LR/want-1) > 1e-12 || math.Abs(p.Loss-mean) > 1e-12 {
			t.Errorf("step %d: %+v, want rate %g and loss %g", i, p, want, mean)
		}
	}
	for _, sets := range [][]string{nil, {"method.pipeline=2"}} {
		if again, err := try(t.Context(), gentle, sets...); err != nil || fmt.Sprint(again) != fmt.Sprint(plain) {
			t.Errorf("again, with %v: %v, %v", sets, again, err)
		}
	}
	if wild, err := try(t.Context(), train.RateOptions{From: 1e-3, To: 1e6, Steps: 60}, "optim.momentum=0"); err != nil || !wild.Rose || len(wild.Points) == 60 {
		t.Errorf("at 1e6: %d points, rose %v, %v", len(wild.Points), wild.Rose, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := gentle
	stopped.Progress = func(done, _ int) {
		if done == 5 {
			cancel()
		}
	}
	if some, err := try(ctx, stopped); !errors.Is(err, context.Canceled) || len(some.Points) != 5 {
		t.Errorf("interrupted it has %d points, %v", len(some.Points), err)
	}
	for want, o := range map[string]train.RateOptions{
		"--from is 0": {From: 0, To: 1, Steps: 20}, "--to is 1": {From: 1, To: 1, Steps: 20}, "--steps is 9": {From: 1, To: 2, Steps: 9}, "--from is NaN": {From: math.NaN(), To: 1, Steps: 20},
	} {
		if _, err := try(t.Context(), o); !fault.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := try(t.Context(), gentle, "method.resident=1"); !fault.Is(err) || !strings.Contains(err.Error(), "method.resident is 1") {
		t.Errorf("got %v", err)
	}
}
