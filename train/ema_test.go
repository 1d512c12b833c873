package train_test

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/train"
)

// averages of each epoch as a run reports them.
func averages(s *spy) (all [][]float64) {
	for _, e := range s.epochs {
		all = append(all, e.EMAAcc)
	}
	return all
}

// Averages that forget at once are the weights themselves; slow ones are what their file holds. Evaluating them leaves
// training alone, and a run without them says nothing about them.
func TestAveragesAreEvaluated(t *testing.T) {
	b := newWorkbench(t)
	none, fast, slow := newSpy(), newSpy(), newSpy()
	b.must(t, "none", none, "threads=1")
	b.must(t, "fast", fast, "threads=1", "optim.ema=1e-12")
	b.must(t, "slow", slow, "threads=1", "optim.ema=0.9")
	for _, s := range []*spy{fast, slow} {
		if !slices.Equal(none.untimed(), s.untimed()) {
			t.Error("a run with averages trains otherwise than one without")
		}
	}
	if got := b.weights(t, "slow"); !reflect.DeepEqual(got, b.weights(t, "none")) {
		t.Error("a run with averages ends with other weights than one without")
	}
	if log := string(b.read(t, "none/metrics.jsonl")) + string(b.read(t, "none/summary.json")); strings.Contains(log, "ema_acc") {
		t.Error("a run without averages has an ema_acc")
	}
	differ := false
	for i, e := range fast.epochs {
		if !slices.Equal(e.EMAAcc, e.ModuleAcc) {
			t.Errorf("epoch %d: averages without memory %v, the weights %v", e.Epoch, e.EMAAcc, e.ModuleAcc)
		}
		differ = differ || !slices.Equal(slow.epochs[i].EMAAcc, e.ModuleAcc)
	}
	if !differ {
		t.Error("slow averages are as good as the weights at each epoch: the comparison says nothing")
	}
	trained, err := train.Open(filepath.Join(b.dir, "slow", "ema.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer trained.Free()
	want, err := trained.Evaluate(t.Context(), train.Test, b.dir, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	got := slow.epochs[len(slow.epochs)-1].EMAAcc
	for k, h := range want.Heads {
		if len(got) != len(want.Heads) || got[k] != h.Top1 {
			t.Fatalf("reported %v, the file has %+v", got, want.Heads)
		}
	}
}

// A run that was stopped and goes on reports the averages that it would have reported.
func TestAveragesSurviveResuming(t *testing.T) {
	b := newWorkbench(t)
	sets := []string{"threads=1", "optim.ema=0.9"}
	whole, first, second := newSpy(), newSpy(), newSpy()
	b.must(t, "whole", whole, sets...)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	first.at, first.fire = 7, stop
	if _, err := b.run(t, ctx, "parts", first, false, sets...); !errors.Is(err, train.ErrInterrupted) {
		t.Fatal(err)
	}
	s, err := b.run(t, t.Context(), "parts", second, true, sets...)
	if err != nil {
		t.Fatal(err)
	}
	got, want := append(averages(first), averages(second)...), averages(whole)
	if !reflect.DeepEqual(got, want) || !slices.Equal(s.EMAAcc, want[len(want)-1]) {
		t.Errorf("stopped and resumed: %v, in the summary %v; want %v", got, s.EMAAcc, want)
	}
}
