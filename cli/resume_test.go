package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/locus-learn/locus/record"
)

// trigger calls fire when a line with text is written to it.
type trigger struct {
	seen bytes.Buffer
	text string
	fire func()
}

func (w *trigger) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(w.text)) {
		w.fire()
	}
	return w.seen.Write(b)
}

// interrupt runs a command line and ends its context as soon as it reports text.
func interrupt(t *testing.T, text string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	err := trigger{text: text, fire: cancel}
	code := run(ctx, args, &out, &err)
	return result{code, out.String(), err.seen.String()}
}

func TestInterruptedRunGoesOnBitForBit(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("whole", "--steps", "13")...)
	want := read(t, b.path("whole/last.safetensors"))
	for i, at := range []string{"step 3/13", "epoch 1/3", "step 12/13"} {
		t.Run(at, func(t *testing.T) {
			name := fmt.Sprint("cut ", i) // with a space, which the hint must quote
			dir := b.path(name)
			args := b.train(name, "--steps", "13")
			r := interrupt(t, at, args...)
			if r.code != 130 || !strings.Contains(r.err, "locus train --resume --out '"+dir+"' --data "+b.data) {
				t.Fatalf("exit code %d, want 130 and how to go on in\n%s", r.code, r.err)
			}
			succeed(t, "eval", dir, "--data", b.data)
			succeed(t, "train", "--resume", "--out", dir, "--data", b.data)
			if !bytes.Equal(read(t, filepath.Join(dir, "last.safetensors")), want) {
				t.Error("the resumed run ends with other weights")
			}
			if got := strings.Count(string(read(t, filepath.Join(dir, "metrics.jsonl"))), `"event":"epoch"`); got != 3 {
				t.Errorf("metrics.jsonl has %d epochs, want 3", got)
			}
		})
	}
}

// Everything with a memory of its own: moments, sums and averages of the optimizer, and what stochastic depth draws.
func TestInterruptedTransformerGoesOnBitForBit(t *testing.T) {
	b := newWorkbench(t)
	args := func(out string) []string {
		args := b.train(out, "--steps", "7")
		for _, set := range []string{
			"model.name=vit_ti", "model.patch=8", "model.width=12", "model.depth=4", "model.drop_path=0.5", "method.label_smoothing=0.1",
			"head.name=tokens", "optim.name=adamw", "optim.clip=0.5", "optim.accumulate=2", "optim.ema=0.9", "optim.decay=weights",
		} {
			args = append(args, "--set", set)
		}
		return args
	}
	succeed(t, args("whole")...)
	if r := interrupt(t, "step 3/7", args("cut")...); r.code != 130 {
		t.Fatalf("exit code %d, want 130\n%s", r.code, r.err)
	}
	succeed(t, "train", "--resume", "--out", b.path("cut"), "--data", b.data)
	for _, name := range []string{"last.safetensors", "ema.safetensors"} {
		if !bytes.Equal(read(t, b.path("cut/"+name)), read(t, b.path("whole/"+name))) {
			t.Errorf("%s of the resumed run is another", name)
		}
	}
	if bytes.Equal(read(t, b.path("whole/last.safetensors")), read(t, b.path("whole/ema.safetensors"))) {
		t.Error("the averages are the weights")
	}
	succeed(t, "eval", b.path("whole/ema.safetensors"), "--data", b.data)
}

// TestInterruptWhileTheLastEpochIsEvaluated stops a run that has taken all its steps: resuming has to evaluate.
func TestInterruptWhileTheLastEpochIsEvaluated(t *testing.T) {
	b := newWorkbench(t)
	if r := interrupt(t, "step 3/3", b.train("run", "--steps", "3")...); r.code != 130 {
		t.Fatalf("exit code %d, want 130\n%s", r.code, r.err)
	}
	if out := succeed(t, "train", "--resume", "--out", b.path("run"), "--data", b.data); !strings.Contains(out, "% on test") {
		t.Errorf("the resumed run printed no accuracy:\n%s", out)
	}
}

func TestInterruptedCompareGoesOn(t *testing.T) {
	b := newWorkbench(t)
	args := []string{"compare", "--methods", "bp,sgr", b.recipe, "--data", b.data, "--steps", "6", "--out", b.path("both")}
	r := interrupt(t, "sgr: method sgr", args...)
	if r.code != 130 || !strings.Contains(r.out, "| bp") || !strings.Contains(r.err, "--resume --out "+b.path("both")) {
		t.Fatalf("exit code %d, want 130, the finished run and how to go on\n%s%s", r.code, r.out, r.err)
	}
	refuse(t, []string{"resume", "lr: 0.1", "lr: 0.2"}, append(args, "--resume", "--set", "optim.lr=0.2")...)
	out := succeed(t, append(args, "--resume")...)
	if !strings.Contains(out, "| bp") || !strings.Contains(out, "| sgr") || strings.Contains(out, "NaN") {
		t.Errorf("want both runs in\n%s", out)
	}
}

func TestInterruptEndsOtherCommands(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "0")...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{
		{"eval", b.path("run"), "--data", b.data},
		{"predict", b.path("run"), b.recipe},
		{"bench", "--batch", "2", "--set", "model.depth=8"},
	} {
		r := locus(ctx, args...)
		if r.code != 130 || !strings.HasSuffix(r.err, "locus: interrupted\n") {
			t.Errorf("%s: exit code %d, want 130\n%s", args[0], r.code, r.err)
		}
	}
}

func TestStepsZeroWritesTheInitialCheckpoint(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("zero", "--steps", "0")...)
	zero := read(t, b.path("zero/last.safetensors"))
	succeed(t, b.train("one", "--steps", "1")...)
	if bytes.Equal(zero, read(t, b.path("one/last.safetensors"))) {
		t.Error("a step changed nothing")
	}
	succeed(t, "train", "--resume", "--out", b.path("zero"), "--data", b.data, "--steps", "1")
	if !bytes.Equal(read(t, b.path("zero/last.safetensors")), read(t, b.path("one/last.safetensors"))) {
		t.Error("0 and then 1 step are not 1 step")
	}
}

// TestFullDiskKeepsTheCheckpoint fills a small file system under a run that goes on.
func TestFullDiskKeepsTheCheckpoint(t *testing.T) {
	b := newWorkbench(t)
	disk := b.path("disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("disk full: no tmpfs can be mounted here: %v", err)
	}
	defer syscall.Unmount(disk, syscall.MNT_DETACH)
	succeed(t, b.train("disk/run", "--steps", "2")...)
	before := read(t, b.path("disk/run/last.safetensors"))
	for _, free := range []int{0, 1, 2, 4, 8} { // pages: another file fails each time
		fill(t, filepath.Join(disk, "filler"), free)
		r := locus(t.Context(), "train", "--resume", "--out", b.path("disk/run"), "--data", b.data, "--steps", "4")
		if r.code != 2 || strings.Count("\n"+r.err, "\nlocus: ") != 1 || !strings.Contains(r.err, "no space left") {
			t.Errorf("%d pages free: exit code %d, want 2 and no space left in\n%s", free, r.code, r.err)
		}
		if !bytes.Equal(read(t, b.path("disk/run/last.safetensors")), before) {
			t.Fatalf("%d pages free: the checkpoint has changed", free)
		}
		succeed(t, "eval", b.path("disk/run"), "--data", b.data)
	}
	remove(t, filepath.Join(disk, "filler"))
	succeed(t, "train", "--resume", "--out", b.path("disk/run"), "--data", b.data, "--steps", "4")
}

// fill leaves so many pages of the file system that path is on.
func fill(t *testing.T, path string, pages int) {
	t.Helper()
	remove(t, path)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := int64(0)
	for {
		n, err := f.Write(make([]byte, os.Getpagesize()))
		size += int64(n)
		if err != nil {
			break
		}
	}
	if err := f.Truncate(size - int64(pages*os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
}

// A run folder is changed by hand between two resumes: what the checkpoint says counts, and what is lost is said.
func TestRunFoldersChangedByHand(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "6")...)
	succeed(t, b.train("other", "--steps", "7")...)
	succeed(t, b.train("sister", "--steps", "6", "--set", "seed=2")...)
	succeed(t, b.train("faster", "--steps", "6", "--set", "optim.lr=0.2")...)
	sisters := []string{"was not written together with last.safetensors", "put back"}
	place := func(from, to string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { write(t, filepath.Join(dir, to), read(t, b.path(from))) }
	}
	succeed(t, "export", b.path("run"), b.path("plain.safetensors"))
	begun := read(t, b.path("run/manifest.json"))
	given := []byte(strings.ReplaceAll(string(begun), `"start"`, `"was"`))
	edit := func(old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, "config.yaml")
			was := string(read(t, path))
			now := strings.Replace(was, old, new, 1)
			if now == was {
				t.Fatalf("config.yaml lacks %q", old)
			}
			write(t, path, []byte(now))
		}
	}
	lose := func(names ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			for _, name := range names {
				remove(t, filepath.Join(dir, name))
			}
		}
	}
	for _, c := range []struct {
		name    string
		change  func(*testing.T, string)
		refused []string // all of these, or it goes on
		said    string
	}{
		{"nothing", func(*testing.T, string) {}, nil, ""},
		{"the batch", edit("  batch: 8\n", "  batch: 4\n"), []string{"data.batch is 4, and 8 when the run", "--init"}, ""},
		{"the seed", edit("seed: 1\n", "seed: 2\n"), []string{"seed is 2, and 1 when the run"}, ""},
		{"the width", edit("  width: 4\n", "  width: 8\n"), []string{"is 8, and 4 when the run"}, ""},
		{"the method", edit("  name: sgr\n", "  name: layerwise\n"), []string{"method.name is layerwise, and sgr when the run"}, ""},
		{"the rate", edit("  lr: 0.1\n", "  lr: 0.01\n"), nil, ""},
		{"the weights", lose("last.safetensors"), []string{"has state-6.safetensors", "no last.safetensors", "--force"}, ""},
		{"the state", lose("state-6.safetensors"), []string{"state-6.safetensors is not there", "put it back", "--init"}, ""},
		{"the state of another step", place("other/state-7.safetensors", "state-6.safetensors"), []string{"state-6.safetensors has the state at step 7"}, ""},
		{"weights of another run", place("other/last.safetensors", "last.safetensors"), []string{"state-7.safetensors is not there"}, ""},
		{"the state of another seed", place("sister/state-6.safetensors", "state-6.safetensors"), sisters, ""},
		{"weights of another seed", place("sister/last.safetensors", "last.safetensors"), []string{"seed is 1, and 2 when the run"}, ""},
		{"weights of another rate", place("faster/last.safetensors", "last.safetensors"), sisters, ""},
		{"the state of another rate", place("faster/state-6.safetensors", "state-6.safetensors"), sisters, ""},
		{"both of another seed", func(t *testing.T, dir string) {
			place("sister/state-6.safetensors", "state-6.safetensors")(t, dir)
			place("sister/last.safetensors", "last.safetensors")(t, dir)
		}, []string{"seed is 1, and 2 when the run"}, ""},
		{"exported weights", place("plain.safetensors", "last.safetensors"), []string{"last.safetensors has no tensor heads.1"}, ""},
		{"the log", lose("metrics.jsonl"), nil, "metrics.jsonl lacks the evaluations behind step 0, up to that at step 6"},
		{"all checkpoints", lose("last.safetensors", "state-6.safetensors"), nil, ""}, // as if killed before the first one
		{"a removal that was cut short", func(t *testing.T, dir string) {
			lose("last.safetensors")(t, dir)
			write(t, filepath.Join(dir, "manifest.json"), given)
		}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			if err := os.CopyFS(dir, os.DirFS(b.path("run"))); err != nil {
				t.Fatal(err)
			}
			c.change(t, dir)
			args := []string{"train", "--resume", "--out", dir, "--data", b.data, "--steps", "8"}
			if c.refused != nil {
				left, err := os.ReadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				refuse(t, c.refused, args...)
				for _, e := range left {
					if _, err := os.Stat(filepath.Join(dir, e.Name())); err != nil {
						t.Errorf("what was there is lost: %v", err)
					}
				}
				return
			}
			r := locus(t.Context(), args...)
			if r.code != 0 || !strings.Contains(r.err, c.said) || c.said == "" && strings.Contains(r.err, "lacks") {
				t.Errorf("exit code %d, want 0 and %q in\n%s", r.code, c.said, r.err)
			}
		})
	}
}

// The best weights are no checkpoint to go on from.
func TestResumeFromTheBestWeights(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--set", "data.validation=24")...)
	write(t, b.path("run/last.safetensors"), read(t, b.path("run/best.safetensors")))
	refuse(t, []string{"last.safetensors names no state of the optimizers", "--init"}, "train", "--resume", "--out", b.path("run"), "--data", b.data, "--steps", "20")
}

// A run that goes on on another machine says so, and its folder names both.
func TestRunsGoOnElsewhere(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "2")...)
	path := b.path("run/env.json")
	again := func(steps string) result {
		return locus(t.Context(), "train", "--resume", "--out", b.path("run"), "--data", b.data, "--steps", steps)
	}
	if r := again("3"); r.code != 0 || strings.Contains(r.err, "elsewhere") {
		t.Errorf("exit code %d, here it says\n%s", r.code, r.err)
	}
	var env record.Env
	if err := json.Unmarshal(read(t, path), &env); err != nil || len(env.Earlier) != 0 {
		t.Fatalf("%v, kept %+v", err, env.Earlier)
	}
	env.CPU, env.Engine = "Pentium\x1b[31m", "libtorch 0.1"
	if err := record.WriteJSON(path, env); err != nil {
		t.Fatal(err)
	}
	r := again("4")
	if r.code != 0 || !strings.Contains(r.err, "goes on elsewhere") || !strings.Contains(r.err, ", before libtorch 0.1") || strings.Contains(r.err, "\x1b") {
		t.Errorf("exit code %d, elsewhere it says\n%q", r.code, r.err)
	}
	if again("5"); json.Unmarshal(read(t, path), &env) != nil || len(env.Earlier) != 1 || env.Earlier[0].Engine != "libtorch 0.1" || env.Engine == "libtorch 0.1" {
		t.Errorf("env.json has %+v", env)
	}
}

// A run that was killed after longer epochs were asked for, and before it was saved with them, has not forgotten them.
func TestLongerEpochsSurviveAKill(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run")...)
	path := b.path("run/config.yaml")
	write(t, path, []byte(strings.Replace(string(read(t, path)), "  epochs: 2\n", "  epochs: 3\n", 1))) // as the killed run leaves it
	succeed(t, "train", "--resume", "--out", b.path("run"), "--data", b.data)
	if got := strings.Count(string(read(t, b.path("run/metrics.jsonl"))), `"event":"epoch"`); got != 3 {
		t.Errorf("metrics.jsonl has %d epochs, want 3", got)
	}
}
