package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/train"
)

// evaluations lists the steps and epochs of what a run has evaluated, from its record.
func (b workbench) evaluations(t *testing.T, out string) string {
	t.Helper()
	var all []string
	for _, e := range b.log(t, out).Epochs {
		all = append(all, fmt.Sprintf("%d/%d", e.Step, e.Epoch))
	}
	return strings.Join(all, " ")
}

// How often a run is evaluated changes nothing in its weights. Interrupted and resumed, it is evaluated where the
// whole run was, with the same results.
func TestWhenARunIsEvaluated(t *testing.T) {
	b := newWorkbench(t)
	b.must(t, "plain", nil, "threads=1")
	want := b.weights(t, "plain")
	for _, c := range []struct{ set, want string }{
		{"eval.every=1", "5/1 10/2 13/3"},
		{"eval.every=2", "10/2 13/3"},
		{"eval.every=9", "13/3"},
		{"eval.steps=4", "4/1 8/2 12/3 13/3"},
		{"eval.steps=5", "5/1 10/2 13/3"},
		{"eval.steps=99", "13/3"},
	} {
		name := strings.NewReplacer("=", "-").Replace(c.set)
		sets := []string{"threads=1", c.set, "method.name=bp"}
		b.must(t, name, nil, sets...)
		if got := b.evaluations(t, name); got != c.want {
			t.Errorf("%s: evaluated at %s, want %s", c.set, got, c.want)
		}
		parts := name + "-parts"
		ctx, cancel := context.WithCancel(t.Context())
		s := newSpy()
		s.at, s.fire = 8, cancel // where eval.steps=4 is due
		if _, err := b.run(t, ctx, parts, s, false, sets...); !errors.Is(err, train.ErrInterrupted) {
			t.Fatalf("%s: %v", parts, err)
		}
		if _, err := b.run(t, t.Context(), parts, nil, true, sets...); err != nil {
			t.Fatal(err)
		}
		if got, want := b.assessed(t, parts), b.assessed(t, name); got != want {
			t.Errorf("%s: resumed it is evaluated as\n%s\nwhole as\n%s", parts, got, want)
		}
		if !maps.EqualFunc(b.weights(t, parts), b.weights(t, name), bytes.Equal) {
			t.Errorf("%s: resumed, the weights differ", parts)
		}
	}
	b.must(t, "often", nil, "threads=1", "eval.steps=1")
	if !maps.EqualFunc(b.weights(t, "often"), want, bytes.Equal) {
		t.Error("a run that is evaluated at every step has other weights")
	}
}

// assessed is what evaluations have found, without what a clock or the memory tells.
func (b workbench) assessed(t *testing.T, out string) string {
	t.Helper()
	var all []string
	for _, e := range b.log(t, out).Epochs {
		val := -1.0
		if e.ValAcc != nil {
			val = *e.ValAcc
		}
		all = append(all, fmt.Sprint(e.Epoch, e.Step, e.TrainLoss, e.TestAcc, e.ModuleAcc, val, *e.TestLoss))
	}
	return strings.Join(all, "\n")
}

// A run ends after as many evaluations without a better accuracy as it is asked to wait for, with the best weights kept;
// also when it was interrupted while it waited.
func TestARunEndsWhenItGetsNoBetter(t *testing.T) {
	b := newWorkbench(t)
	sets := []string{"threads=1", "data.validation=8", "data.stratify=true", "data.batch=4", "eval.steps=1", "eval.patience=3", "method.name=bp"}
	b.must(t, "whole", nil, sets...)
	best, stale, end := 0.0, 0, 0
	for _, e := range b.log(t, "whole").Epochs {
		if end > 0 {
			t.Fatalf("it was evaluated at step %d, after it should have ended at %d", e.Step, end)
		}
		if stale++; *e.ValAcc > best {
			best, stale = *e.ValAcc, 0
		}
		if stale == 3 {
			end = e.Step
		}
	}
	if end == 0 || end >= total {
		t.Fatalf("it ended by itself at step %d of %d", end, total)
	}
	m, err := train.Open(filepath.Join(b.dir, "whole/best.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	if e, err := m.Evaluate(t.Context(), train.Validation, b.dir, func(string) {}); err != nil || e.Heads[len(e.Heads)-1].Top1 != best {
		t.Errorf("the weights that are kept have %v, %v; the best were %g", e.Heads, err, best)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := newSpy()
	s.at, s.fire = end-1, cancel
	if _, err := b.run(t, ctx, "parts", s, false, sets...); !errors.Is(err, train.ErrInterrupted) {
		t.Fatal(err)
	}
	summary, err := b.run(t, t.Context(), "parts", nil, true, sets...)
	if err != nil || summary.Steps != end || summary.Stopped != "" {
		t.Errorf("resumed it ends at step %d, %q, %v; want %d", summary.Steps, summary.Stopped, err, end)
	}
	if got, want := b.assessed(t, "parts"), b.assessed(t, "whole"); got != want {
		t.Errorf("resumed it is evaluated as\n%s\nwhole as\n%s", got, want)
	}
	for _, file := range []string{"last.safetensors", "best.safetensors"} {
		if !maps.EqualFunc(b.tensors(t, "parts/"+file), b.tensors(t, "whole/"+file), bytes.Equal) {
			t.Errorf("%s of the resumed run differs", file)
		}
	}
	again, err := b.run(t, t.Context(), "whole", nil, true, sets...) // with more steps it trains on, and waits anew
	if err != nil || again.Steps < min(end+3, total) {
		t.Errorf("with more steps it ends at %d, %v", again.Steps, err)
	}
}

func TestWhereNobodyCanWait(t *testing.T) {
	b := newWorkbench(t)
	for want, sets := range map[string][]string{
		"eval.patience is 2: must be 0 without validation images":                                 {"eval.patience=2"},
		"eval.patience is 2: must be 0 with method.name greedy, which trains its modules in turn": {"eval.patience=2", "data.validation=4", "method.name=greedy"},
	} {
		c, err := train.Load(filepath.Join(b.dir, "small.yaml"), sets)
		if err != nil {
			t.Fatal(err)
		}
		_, err = train.FromRecipe(c, train.Options{Data: b.dir, Out: filepath.Join(b.dir, "run"), Steps: -1})
		if !fault.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if _, err := os.Stat(filepath.Join(b.dir, "run")); err == nil {
			t.Error("a folder was made")
		}
	}
}

// The summary has the accuracy on validation images of the last evaluation, where some are held out.
func TestSummaryHasTheValidationAccuracy(t *testing.T) {
	b := newWorkbench(t)
	for _, held := range []int{0, 8} {
		s, err := b.run(t, t.Context(), fmt.Sprint("held-", held), nil, false, "method.name=bp", "data.batch=4", fmt.Sprint("data.validation=", held))
		if err != nil {
			t.Fatal(err)
		}
		last := b.log(t, fmt.Sprint("held-", held)).Epochs
		want := last[len(last)-1].ValAcc
		if (s.ValAcc != nil) != (held > 0) || s.ValAcc != nil && *s.ValAcc != *want {
			t.Errorf("with %d held out the summary has %v, want %v", held, s.ValAcc, want)
		}
	}
}
