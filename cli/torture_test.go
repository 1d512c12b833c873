package cli

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/disk/disktest"
)

// Under `make torture` LOCUS_TORTURE is how many kills there are to be, over all runs of the campaign, whose lines are in
// the file LOCUS_TORTURE_LOG. Ended early, it goes on where it was. Without the variable the tests here take a sample.
const (
	tortureKills = "LOCUS_TORTURE"
	tortureLog   = "LOCUS_TORTURE_LOG"
)

func torturing() bool { return os.Getenv(tortureKills) != "" }

// setting is what a run is killed in.
type setting struct {
	name   string
	sets   []string
	photos bool // images in files
}

// matrix is what runs are killed in: everything with a memory of its own.
var matrix = []setting{
	{name: "sgr"},
	{name: "bp in bfloat16", sets: []string{"method.name=bp", "method.modules=1", "precision=bf16"}},
	{name: "layerwise in a pipeline", sets: []string{"method.name=layerwise", "method.pipeline=2"}},
	{name: "greedy phases", sets: []string{"method.name=greedy"}},
	{name: "sgr in a pipeline, averaged", sets: []string{"method.pipeline=3", "optim.ema=0.9"}},
	{name: "infopro", sets: []string{"method.name=infopro"}},
	{name: "adamw, accumulated, averaged", sets: []string{"optim.name=adamw", "optim.lr=0.001", "optim.accumulate=2", "optim.ema=0.9"}},
	{name: "validation and diagnoses", sets: []string{"data.validation=8", "diagnose.every=3", "diagnose.batch=4"}},
	{name: "photographs", photos: true, sets: []string{
		"data.set=folder", "data.size=32", "data.batch=4", "data.augment=resized-crop", "data.jitter.brightness=0.4", "data.mixup=0.2", "schedule.epochs=5",
	}},
	{name: "kept checkpoints", sets: []string{"checkpoint.keep=3", "data.validation=8"}},
	{name: "ETF heads", sets: []string{"model.name=plain7", "model.depth=4", "method.name=etf", "optim.ema=0.9"}},
	{name: "sgr, one module in memory", sets: []string{"method.resident=1", "method.visit=3", "method.signals=spill"}},
	{name: "two modules in memory, averaged", sets: []string{"method.name=layerwise", "method.modules=4", "method.resident=2",
		"method.visit=2", "optim.name=adamw", "optim.lr=0.001", "optim.ema=0.9"}},
}

// chain is a line of the campaign's log: one run, killed and resumed until it was done.
type chain struct {
	Setting string `json:"setting"`
	Kills   int    `json:"kills"`
	Same    bool   `json:"same"` // the final weights are those of a run that nobody killed, bit for bit
}

// TestTorture kills processes at random moments, whatever they do, and resumes until the run is done.
func TestTorture(t *testing.T) {
	if !torturing() {
		t.Skip("make torture")
	}
	want, err := strconv.Atoi(os.Getenv(tortureKills))
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(os.Getenv(tortureLog), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	kills, chains := soFar(t, log)
	b, photos := newWorkbench(t), newPhotos(t)
	for ; kills < want; chains++ {
		m, b := matrix[chains%len(matrix)], b
		if m.photos {
			b.data = photos
		}
		c := b.killed(t, m)
		kills += c.Kills
		if err := json.NewEncoder(log).Encode(c); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d kills in %d chains", kills, chains+1)
	}
}

// soFar adds up an earlier part of the campaign.
func soFar(t *testing.T, log *os.File) (kills, chains int) {
	t.Helper()
	for lines := json.NewDecoder(log); lines.More(); chains++ {
		var c chain
		if err := lines.Decode(&c); err != nil {
			t.Fatal(err)
		}
		kills += c.Kills
	}
	return kills, chains
}

// killed runs one setting to its end, with up to eight kills on the way.
func (b workbench) killed(t *testing.T, m setting) chain {
	t.Helper()
	args := func(out string, more ...string) []string {
		args := b.train(out, append([]string{"--steps", "20"}, more...)...)
		for _, s := range m.sets {
			args = append(args, "--set", s)
		}
		return args
	}
	whole := b.path("whole/last.safetensors")
	began := time.Now()
	succeed(t, args("whole", "--force")...)
	took := time.Since(began)
	run := b.path("run")
	os.RemoveAll(run)
	c := chain{Setting: m.name}
	for done := false; !done; {
		line := args("run", "--force")
		if _, err := os.Stat(filepath.Join(run, "config.yaml")); err == nil {
			line = []string{"train", "--resume", "--out", run, "--data", b.data}
		}
		cmd := program(t, line...)
		if c.Kills < 8 {
			time.AfterFunc(rand.N(took+2*time.Second), func() { cmd.Process.Kill() })
		}
		out, err := cmd.CombinedOutput()
		if done = err == nil; !done {
			if cmd.ProcessState.Exited() {
				t.Fatalf("%s, after %d kills: %v\n%s", m.name, c.Kills, err, out)
			}
			c.Kills++
		}
	}
	c.Same = bytes.Equal(read(t, filepath.Join(run, "last.safetensors")), read(t, whole))
	if !c.Same {
		t.Errorf("%s: after %d kills the run ends with other weights", m.name, c.Kills)
	}
	if average := b.path("whole/ema.safetensors"); exists(average) && !bytes.Equal(read(t, average), read(t, filepath.Join(run, "ema.safetensors"))) {
		t.Errorf("%s: after %d kills the averages are others", m.name, c.Kills)
	}
	return c
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// sample returns how many calls to pass over between two that are tried.
func sample(t *testing.T, calls, most int) int {
	if torturing() {
		return 1
	}
	if testing.Short() {
		most = 3
	}
	return max(1, calls/most)
}

// Whenever power is lost, what is found goes on to the same weights, with a record of every epoch.
func TestRunsOutlastLossOfPower(t *testing.T) {
	b := newWorkbench(t)
	train := func(out string, more ...string) []string {
		return b.train(out, append([]string{"--steps", "12", "--set", "optim.ema=0.9"}, more...)...)
	}
	power := func(left int) (*disktest.Power, result) {
		dir := b.path("run")
		os.RemoveAll(dir)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		p := disktest.NewPower(dir, left)
		defer disk.Mount(dir, p)()
		return p, locus(t.Context(), train("run")...)
	}
	p, r := power(-1)
	if r.code != 0 {
		t.Fatalf("with power: exit code %d\n%s", r.code, r.err)
	}
	last, average := read(t, b.path("run/last.safetensors")), read(t, b.path("run/ema.safetensors"))
	tried := 0
	for n := 0; n < p.Calls(); n += sample(t, p.Calls(), 12) {
		tried++
		p, _ := power(n)
		found := b.path("found")
		os.RemoveAll(found)
		if err := p.Found(b.path("run"), found); err != nil {
			t.Fatal(err)
		}
		if exists(filepath.Join(found, "config.yaml")) {
			succeed(t, "train", "--resume", "--out", found, "--data", b.data)
		} else {
			succeed(t, train("found")...)
		}
		if !bytes.Equal(read(t, filepath.Join(found, "last.safetensors")), last) {
			t.Errorf("power lost in front of call %d: the run ends with other weights", n)
		}
		if !bytes.Equal(read(t, filepath.Join(found, "ema.safetensors")), average) {
			t.Errorf("power lost in front of call %d: the run ends with other averages", n)
		}
		if got := strings.Count(string(read(t, filepath.Join(found, "metrics.jsonl"))), `"event":"epoch"`); got != 3 {
			t.Errorf("power lost in front of call %d: the record has %d epochs, want 3", n, got)
		}
	}
	t.Logf("power lost %d times, at %d calls", tried, p.Calls())
}

// Whichever call fails, once, the run ends with the same weights: at once, or resumed after it has said what is wrong.
func TestRunsUnderFaults(t *testing.T) {
	b := newWorkbench(t)
	dir := b.path("run")
	faulty := func(n int, err error) (calls int, r result) {
		os.RemoveAll(dir)
		defer disk.Mount(dir, &disktest.Faulty{Fail: func(op disktest.Op) (int, error) {
			if calls++; calls == n+1 {
				return op.Size / 2, err
			}
			return 0, nil
		}})()
		r = locus(t.Context(), b.train("run", "--steps", "7", "--set", "optim.ema=0.9")...)
		return calls, r
	}
	calls, r := faulty(-2, nil)
	if r.code != 0 {
		t.Fatalf("without faults: exit code %d\n%s", r.code, r.err)
	}
	last := read(t, filepath.Join(dir, "last.safetensors"))
	tried, ended := 0, 0
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		for n := 0; n < calls; n += sample(t, calls, 10) {
			tried++
			_, r := faulty(n, cause)
			if r.code != 0 {
				ended++
				if r.code != 2 || strings.Count("\n"+r.err, "\nlocus: ") != 1 {
					t.Errorf("call %d fails with %v: exit code %d, want 2 and one line of complaint\n%s", n, cause, r.code, r.err)
				}
				again := []string{"train", "--resume", "--out", dir, "--data", b.data}
				if !exists(filepath.Join(dir, "config.yaml")) {
					again = b.train("run", "--steps", "7", "--set", "optim.ema=0.9")
				}
				succeed(t, again...)
			}
			if !bytes.Equal(read(t, filepath.Join(dir, "last.safetensors")), last) {
				t.Errorf("call %d fails with %v: the run ends with other weights", n, cause)
			}
		}
	}
	t.Logf("%d faults at %d calls: %d ended the run", tried, calls, ended)
}
