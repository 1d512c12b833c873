package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

func TestPipelineTrainsAsLockStepDoes(t *testing.T) {
	b := newWorkbench(t)
	lockStep, pipelined := newSpy(), newSpy()
	b.must(t, "lockstep", lockStep, "threads=1")
	b.must(t, "pipeline", pipelined, "threads=3", "method.pipeline=2")
	if d := cmp.Diff(lockStep.untimed(), pipelined.untimed()); d != "" || len(lockStep.steps) != total {
		t.Errorf("%d steps, -lock-step +pipeline\n%s", len(lockStep.steps), d)
	}
	if d := cmp.Diff(b.weights(t, "lockstep"), b.weights(t, "pipeline")); d != "" {
		t.Error("the weights differ")
	}
	for _, e := range pipelined.epochs {
		if len(e.ModuleBusy) != 3 || len(e.ModuleWait) != 3 || !(e.ModuleBusy[2] > 0) || !(e.ModuleWait[2] > 0) {
			t.Errorf("epoch %d: busy %v, waiting %v", e.Epoch, e.ModuleBusy, e.ModuleWait)
		}
	}
	if s := lockStep.steps[0]; len(s.ModuleBusy) != 3 || s.ModuleWait != nil {
		t.Errorf("lock-step: busy %v, waiting %v, want none of the latter", s.ModuleBusy, s.ModuleWait)
	}
}

// An interrupted run saves every batch that has entered, and goes on to the same bits.
func TestPipelineResumesBitForBit(t *testing.T) {
	b := newWorkbench(t)
	sets := []string{"threads=3", "method.pipeline=2"}
	b.must(t, "whole", nil, sets...)
	want := b.read(t, "whole/last.safetensors")
	for _, at := range []int{1, 4, 5, 12} {
		t.Run(fmt.Sprint("step ", at), func(t *testing.T) {
			out := fmt.Sprint("cut", at)
			ctx, cancel := context.WithCancel(t.Context())
			s := newSpy()
			s.at, s.fire = at, cancel
			summary, err := b.run(t, ctx, out, s, false, sets...)
			if !errors.Is(err, train.ErrInterrupted) || summary.Steps != len(s.steps) {
				t.Fatalf("error %v after %d steps, %d of them reported", err, summary.Steps, len(s.steps))
			}
			if _, err := b.run(t, t.Context(), out, nil, true, sets...); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.read(t, out+"/last.safetensors"), want) {
				t.Error("the resumed run ends with other weights")
			}
			if n := strings.Count(string(b.read(t, out+"/metrics.jsonl")), `"event":"epoch"`); n != 3 {
				t.Errorf("%d epochs in the metrics, want 3", n)
			}
		})
	}
}

func TestDivergingPipelineKeepsTheCheckpoint(t *testing.T) {
	b := newWorkbench(t)
	tensors := torch.LiveTensors()
	s := newSpy()
	_, err := b.run(t, t.Context(), "run", s, false, "optim.lr=1000", "method.pipeline=5")
	if err == nil || !strings.Contains(err.Error(), "keeps the last good checkpoint") {
		t.Errorf("error %v, want one that tells of the checkpoint", err)
	}
	if n := torch.LiveTensors() - tensors; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
	if len(s.steps) == 0 || len(s.steps) >= total {
		t.Errorf("%d steps reported", len(s.steps))
	}
}
