package train_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

var diagnose = []string{"threads=1", "diagnose.every=4", "diagnose.batch=8"}

// diagnoses reads those of a run.
func (b workbench) diagnoses(t *testing.T, out string) []record.Diagnosis {
	t.Helper()
	return b.log(t, out).Diagnoses
}

func sameDiagnoses(t *testing.T, got, want []record.Diagnosis) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
		t.Errorf("diagnoses, -want +got\n%s", d)
	}
}

// A diagnosed run learns the same bits, in lock-step and in a pipeline, which also diagnose the same.
func TestDiagnosesChangeNothing(t *testing.T) {
	b := newWorkbench(t)
	plain, spied := newSpy(), newSpy()
	b.must(t, "plain", plain, "threads=1")
	tensors := torch.LiveTensors()
	b.must(t, "diagnosed", spied, diagnose...)
	b.must(t, "pipeline", nil, append(diagnose, "method.pipeline=2")...)
	if n := torch.LiveTensors() - tensors; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
	if d := cmp.Diff(plain.untimed(), spied.untimed()); d != "" {
		t.Errorf("steps, -plain +diagnosed\n%s", d)
	}
	for _, out := range []string{"diagnosed", "pipeline"} {
		if d := cmp.Diff(b.weights(t, "plain"), b.weights(t, out)); d != "" {
			t.Errorf("%s: other weights", out)
		}
	}
	d := b.diagnoses(t, "diagnosed")
	sameDiagnoses(t, b.diagnoses(t, "pipeline"), d)
	var at []int
	for _, one := range d {
		at = append(at, one.Step)
		if len(one.Loss) != 3 || math.IsNaN(one.Shift[2]) || one.ShiftTrain[2] == 0 || !(one.Epsilon[0] > 0) {
			t.Errorf("step %d: %+v", one.Step, one)
		}
	}
	if d := cmp.Diff([]int{1, 5, 9, 13}, at); d != "" {
		t.Errorf("diagnosed steps, -want +got\n%s", d)
	}
	for i, e := range spied.epochs {
		if e.TestLoss == nil || !(*e.TestLoss > 0) || e.TrainAcc == nil || *e.TrainAcc < 0 || *e.TrainAcc > 100 {
			t.Errorf("epoch %d: test loss %v, training accuracy %v", e.Epoch, e.TestLoss, e.TrainAcc)
		}
		if p := plain.epochs[i]; p.TrainAcc != nil || *p.TestLoss != *e.TestLoss || p.PeakBytes != e.PeakBytes {
			t.Errorf("epoch %d: test loss %v and %v, peak %d and %d", e.Epoch, *p.TestLoss, *e.TestLoss, p.PeakBytes, e.PeakBytes)
		}
	}
}

func TestDiagnosedRunResumes(t *testing.T) {
	b := newWorkbench(t)
	b.must(t, "whole", nil, diagnose...)
	ctx, cancel := context.WithCancel(t.Context())
	s := newSpy()
	s.at, s.fire = 4, cancel
	if _, err := b.run(t, ctx, "cut", s, false, diagnose...); !errors.Is(err, train.ErrInterrupted) {
		t.Fatal(err)
	}
	if _, err := b.run(t, t.Context(), "cut", nil, true, diagnose...); err != nil {
		t.Fatal(err)
	}
	sameDiagnoses(t, b.diagnoses(t, "cut"), b.diagnoses(t, "whole"))
	if !bytes.Equal(b.read(t, "cut/last.safetensors"), b.read(t, "whole/last.safetensors")) {
		t.Error("the resumed run ends with other weights")
	}
}

func TestDiagnosisIsDrawn(t *testing.T) {
	b := newWorkbench(t)
	b.must(t, "run", nil, diagnose...)
	for _, name := range []string{"diagnosis", "agreement", "shift", "curves"} {
		if !strings.Contains(string(b.read(t, "run/plots/"+name+".svg")), "<svg") {
			t.Errorf("%s is no picture", name)
		}
	}
	if table := string(b.read(t, "run/"+train.DiagnosisFile)); strings.Count(table, "\n") != 6 || !strings.Contains(table, "Step 13") {
		t.Errorf("not a row a module:\n%s", table)
	}
	b.must(t, "plain", nil, "threads=1")
	for _, name := range []string{train.DiagnosisFile, "plots/diagnosis.svg"} {
		if _, err := os.Stat(filepath.Join(b.dir, "plain", name)); err == nil {
			t.Errorf("%s of a run that was not diagnosed", name)
		}
	}
}

// A method that trains its modules in turn has some that are frozen and some that idle.
func TestGreedyIsDiagnosed(t *testing.T) {
	b := newWorkbench(t)
	b.must(t, "plain", nil, "threads=1", "method.name=greedy")
	b.must(t, "greedy", nil, append(diagnose, "method.name=greedy")...)
	if d := cmp.Diff(b.weights(t, "plain"), b.weights(t, "greedy")); d != "" {
		t.Error("other weights")
	}
	last := b.diagnoses(t, "greedy")[3] // module 3 trains behind frozen ones
	if last.ShiftTrain[1] != 0 || last.ShiftTrain[2] != 0 {
		t.Errorf("frozen modules move the loss by %v", last.ShiftTrain)
	}
}
