package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/disk/disktest"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/train"
)

var streamed = []string{"method.resident=1", "method.visit=3", "method.signals=spill", "optim.ema=0.9", "threads=1"}

// answers are what the epochs say of the heads' answers.
func (s *spy) answers() (all []string) {
	for _, e := range s.epochs {
		all = append(all, fmt.Sprint(e.TrainLoss, e.TestAcc, *e.TestLoss, e.ModuleAcc, e.EMAAcc, e.SGRCos, e.RestingBytes))
	}
	return all
}

// Steps, epochs, both checkpoint files and the averages are those of a run that has all modules in memory. The folder has no
// more files than that run's.
func TestStreamedRunIsTheSame(t *testing.T) {
	b := newWorkbench(t)
	whole, parts := newSpy(), newSpy()
	b.must(t, "whole", whole, "optim.ema=0.9", "threads=1")
	b.must(t, "parts", parts, streamed...)
	if d := cmp.Diff(whole.untimed(), parts.untimed()); d != "" {
		t.Errorf("steps: -whole +streamed\n%s", d)
	}
	if d := cmp.Diff(whole.answers(), parts.answers()); d != "" {
		t.Errorf("epochs: -whole +streamed\n%s", d)
	}
	for _, name := range []string{"last.safetensors", "ema.safetensors", fmt.Sprintf("state-%d.safetensors", total)} {
		if !cmp.Equal(b.tensors(t, "whole/"+name), b.tensors(t, "parts/"+name)) {
			t.Errorf("%s differs", name)
		}
	}
	list := func(out string) (names []string) {
		entries, err := os.ReadDir(filepath.Join(b.dir, out))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), "events.") {
				names = append(names, e.Name())
			}
		}
		return names
	}
	if d := cmp.Diff(list("whole"), list("parts")); d != "" {
		t.Errorf("files: -whole +streamed\n%s", d)
	}
}

// What was trained in parts is evaluated and exported in parts.
func TestStreamedInference(t *testing.T) {
	b := newWorkbench(t)
	b.must(t, "run", nil, "method.resident=2", "method.visit=2", "method.modules=4", "threads=1")
	var want train.Evaluation
	for i, set := range []string{"method.resident=0", "method.resident=1", "method.resident=3"} {
		m, err := train.Open(filepath.Join(b.dir, "run"), set)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Evaluate(t.Context(), train.Test, b.dir, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(b.dir, fmt.Sprintf("export%d.safetensors", i))
		if err := m.Export(file, train.ExportOptions{}); err != nil {
			t.Fatal(err)
		}
		m.Free()
		if i == 0 {
			want = got
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: -whole +streamed\n%s", set, d)
		}
		if !bytes.Equal(b.read(t, "export0.safetensors"), b.read(t, fmt.Sprintf("export%d.safetensors", i))) {
			t.Errorf("%s exports something else", set)
		}
	}
}

// An interrupted run goes on to the same bits, with other modules in memory, too; --init and --force find their way.
func TestStreamedRunResumes(t *testing.T) {
	b := newWorkbench(t)
	b.must(t, "whole", nil, "threads=1")
	want := b.weights(t, "whole")
	for i, at := range []int{1, 5, 8} {
		out := fmt.Sprint("cut", at)
		ctx, cancel := context.WithCancel(t.Context())
		s := newSpy()
		s.at, s.fire = at, cancel
		if _, err := b.run(t, ctx, out, s, false, "method.resident=1", "method.visit=2", "threads=1"); !errors.Is(err, train.ErrInterrupted) {
			t.Fatal(err)
		}
		b.resume(t, out, fmt.Sprint("method.resident=", i), "method.visit=4", "method.signals=spill")
		if !cmp.Equal(b.weights(t, out), want) {
			t.Errorf("interrupted at step %d, the run ends with other weights", at)
		}
	}
}

// resume goes on with the run in out, whose recipe it changes.
func (b workbench) resume(t *testing.T, out string, sets ...string) {
	t.Helper()
	out = filepath.Join(b.dir, out)
	c, err := train.LoadRun(out, sets)
	if err != nil {
		t.Fatal(err)
	}
	r, err := train.FromRecipe(c, train.Options{Data: b.dir, Out: out, Resume: true, Steps: total})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A full disk ends the run with the folder, the bytes and a way out. The last checkpoint is good, and the run goes on from it.
func TestStreamedRunMeetsAFullDisk(t *testing.T) {
	b := newWorkbench(t)
	b.must(t, "whole", nil, "threads=1")
	for _, tt := range []struct{ set, file string }{
		{"method.resident=1", "module-"}, {"method.resident=2", "module-"}, {"method.signals=spill", "signal-"},
	} {
		t.Run(tt.set, func(t *testing.T) {
			sets, out := []string{"method.resident=1", tt.set, "method.visit=2", "method.modules=3", "threads=1"}, "full, "+tt.set
			writes := 0
			unmount := disk.Mount(filepath.Join(b.dir, out, "spill"), &disktest.Faulty{Fail: func(op disktest.Op) (int, error) {
				if op.Kind != "write" || !strings.Contains(op.Path, tt.file) {
					return 0, nil
				}
				if writes++; writes > 12 {
					return 0, syscall.ENOSPC
				}
				return 0, nil
			}})
			_, err := b.run(t, t.Context(), out, nil, false, sets...)
			unmount()
			if !fault.Is(err) {
				t.Fatal(err)
			}
			for _, want := range []string{" MiB", "cannot be kept", filepath.Join(out, "spill"), "no space left on device", "method.spill"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if _, err := b.run(t, t.Context(), out, nil, true, sets...); err != nil {
				t.Fatal(err)
			}
			if !cmp.Equal(b.weights(t, out), b.weights(t, "whole")) {
				t.Error("the resumed run ends with other weights")
			}
		})
	}
}

// The folder where modules and signals wait may be elsewhere, on another file system; nothing is left there. One that is a
// file, or read-only, is named.
func TestSpillFolders(t *testing.T) {
	b := newWorkbench(t)
	b.must(t, "whole", nil, "threads=1")
	elsewhere := t.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "locus"); err == nil { // another file system, where there is one
		t.Cleanup(func() { os.RemoveAll(shm) })
		elsewhere = shm
	}
	for _, where := range []string{elsewhere, "memory"} {
		out := "at-" + filepath.Base(where)
		b.must(t, out, nil, "method.resident=1", "method.spill="+where, "method.signals=spill", "threads=1")
		if !cmp.Equal(b.weights(t, out), b.weights(t, "whole")) {
			t.Errorf("%s: other weights", where)
		}
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("%v are left: %v", left, err)
	}
	file, locked := filepath.Join(b.dir, "test_batch.bin"), t.TempDir()
	defer disk.Mount(locked, &disktest.Faulty{Fail: func(op disktest.Op) (int, error) {
		if op.Kind == "mkdir" || op.Kind == "open" {
			return 0, syscall.EROFS
		}
		return 0, nil
	}})()
	for _, where := range []string{file, locked} {
		_, err := b.started(t, "nowhere", "method.resident=1", "method.spill="+where)
		if !fault.Is(err) || !strings.Contains(err.Error(), "method.spill") || !strings.Contains(err.Error(), where) {
			t.Error(err)
		}
	}
}

// started is the error of a run that cannot begin.
func (b workbench) started(t *testing.T, out string, sets ...string) (*train.Run, error) {
	t.Helper()
	c, err := train.Load(filepath.Join(b.dir, "small.yaml"), sets)
	if err != nil {
		return nil, err
	}
	return train.FromRecipe(c, train.Options{Data: b.dir, Out: filepath.Join(b.dir, out), Steps: total})
}

// A diagnosis needs the whole network.
func TestStreamedRunIsNotDiagnosed(t *testing.T) {
	b := newWorkbench(t)
	_, err := b.started(t, "diagnosed", "method.resident=1", "diagnose.every=2")
	if !fault.Is(err) || !strings.Contains(err.Error(), "diagnose.every is 2: must be 0 with method.resident 1") {
		t.Error(err)
	}
}

// A run that is given memory chooses how to train before it begins, says so, and writes it into its recipe. What cannot be
// done is refused with the least that will do.
func TestRunWithinMemory(t *testing.T) {
	b := newWorkbench(t)
	sets := []string{"threads=1", "method.name=layerwise", "optim.name=adamw", "optim.lr=0.001", "model.width=64", "head.width=8"}
	begin := func(out string, memory int64) (notices string, err error) {
		c, err := train.Load(filepath.Join(b.dir, "small.yaml"), sets)
		if err != nil {
			t.Fatal(err)
		}
		r, err := train.FromRecipe(c, train.Options{Data: b.dir, Out: filepath.Join(b.dir, out), Steps: 4, Memory: memory,
			Notice: func(text string) { notices += text + "\n" }})
		if err != nil {
			return notices, err
		}
		defer r.Close()
		_, err = r.Train(t.Context())
		return notices, err
	}
	const process = 340 << 20
	notices, err := begin("tight", process+24<<20)
	if err != nil || !strings.Contains(notices, "method.resident=") || !strings.Contains(notices, "times the time of the fastest way") {
		t.Errorf("%q, error %v", notices, err)
	}
	if text := string(b.read(t, "tight/config.yaml")); strings.Contains(text, "resident: 0") {
		t.Errorf("the choice is not in the recipe:\n%s", text)
	}
	for _, memory := range []int64{1 << 20, process + 1<<10} {
		_, err := begin("none", memory)
		if !fault.Is(err) || !strings.Contains(err.Error(), "--memory is") {
			t.Errorf("%d bytes: error %v", memory, err)
		}
	}
}
