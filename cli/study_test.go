package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/disk/disktest"
	"github.com/locus-learn/locus/internal/runfolder"
	"github.com/locus-learn/locus/study"
)

// newStudyBench is a workbench with a study of the tiny recipe. Its runs are processes of this test binary.
func newStudyBench(t *testing.T, doc string) (b workbench, args func(more ...string) []string) {
	t.Helper()
	t.Setenv(asProgram, "1")
	b = newWorkbench(t)
	write(t, b.path("s.yaml"), []byte(doc))
	return b, func(more ...string) []string {
		return append([]string{"study", b.path("s.yaml"), "--data", b.data, "--out", b.path("out")}, more...)
	}
}

const tinyStudy = `about: Which is better?
seeds: 2
arms:
- {name: bp, recipe: tiny.yaml, set: [method.name=bp], paper: 92.82}
- {name: sgr, recipe: tiny.yaml, set: ["method.lambda=0.1,1"]}
- {name: seen, recipe: tiny.yaml, set: [method.modules=2, diagnose.every=5]}
- {name: hot, recipe: tiny.yaml, set: [method.name=bp, optim.lr=1000, optim.weight_decay=0.9, optim.momentum=0.99]}
`

// A study trains what is not done, records what fails, and says what follows.
func TestStudy(t *testing.T) {
	b, args := newStudyBench(t, tinyStudy)
	out := succeed(t, args("--jobs", "2")...)
	for _, want := range []string{"bp: the baseline", "sgr,lambda=0.1: ", "n = 2", "hot: ", "2 of 2 runs failed: ", "optim.lr", "92.82"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, name := range []string{"study.yaml", "study.md", "study.csv", "study.svg", "agreement.svg", "curves.svg", "sgr,lambda=1/seed-2/last.safetensors", "bp/seed-1.log",
		"hparams/bp/seed-2/events.out.tfevents.0000000000.hparams"} {
		if _, err := os.Stat(b.path("out/" + name)); err != nil {
			t.Error(err)
		}
	}
	before := read(t, b.path("out/bp/seed-1/metrics.jsonl"))
	began := time.Now()
	again := locus(t.Context(), args()...)
	if again.code != 0 || again.out != out || strings.Contains(again.err, "begins") {
		t.Errorf("again: exit code %d, %s\n%s, want\n%s", again.code, again.err, again.out, out)
	}
	if !bytes.Equal(before, read(t, b.path("out/bp/seed-1/metrics.jsonl"))) {
		t.Error("a finished run was touched")
	}
	t.Logf("a study that is done takes %v", time.Since(began))
	results := b.path("all.csv")
	for range 2 { // the second time replaces the rows
		succeed(t, args("--results", results)...)
	}
	if n := strings.Count(string(read(t, results)), "\n"); n != 5 {
		t.Errorf("the file of results has %d lines, want a head and four arms\n%s", n, read(t, results))
	}
	r := locus(t.Context(), args("--retry", "--arms", "hot")...)
	if r.code != 0 || strings.Count(r.err, "hot/seed-") < 4 || strings.Contains(r.err, "bp/seed-1 ") {
		t.Errorf("--retry: exit code %d\n%s", r.code, r.err)
	}
}

// A study that is killed, with its runs, goes on where it was.
func TestStudyOutlivesKill(t *testing.T) {
	_, args := newStudyBench(t, "seeds: 3\narms:\n- {name: bp, recipe: tiny.yaml, set: [method.name=bp, schedule.epochs=10]}\n")
	cmd := program(t, args()...)
	stop := trigger{text: "bp/seed-2 begins", fire: func() { time.AfterFunc(300*time.Millisecond, func() { cmd.Process.Kill() }) }}
	cmd.Stderr = &stop
	cmd.Run()
	if cmd.ProcessState.Exited() {
		t.Fatalf("it was not killed: %s", stop.seen.String())
	}
	var r result
	for range 100 { // the system ends the run under way, which saves
		if r = locus(t.Context(), args()...); !strings.Contains(r.err, "in use") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if r.code != 0 || strings.Contains(r.err, "seed-1 ") || !strings.Contains(r.err, "bp/seed-2 ") || !strings.Contains(r.out, "the baseline") {
		t.Errorf("exit code %d\n%s\n%s", r.code, r.err, r.out)
	}
}

// Runs that train has put where the study looks are taken over, and a report trains nothing.
func TestStudyTakesOverRuns(t *testing.T) {
	b, args := newStudyBench(t, "seeds: 2\narms:\n- {name: bp, recipe: tiny.yaml, set: [method.name=bp]}\n")
	succeed(t, b.train("out/bp/seed-2", "--set", "method.name=bp", "--set", "seed=2")...)
	succeed(t, b.train("out/bp/seed-1", "--set", "method.name=bp", "--steps", "0")...)
	refuse(t, []string{"bp/seed-1 has a run of 0 steps, and the arm's are 10 long"}, args("--report")...)
	remove(t, b.path("out/bp/seed-1"))
	r := locus(t.Context(), args("--report")...)
	if r.code != 0 || strings.Contains(r.err, "begins") || !strings.Contains(r.out, "1 of 2") || !strings.Contains(r.out, "bp: the baseline") {
		t.Errorf("exit code %d\n%s\n%s", r.code, r.err, r.out)
	}
	r = locus(t.Context(), args("--mlflow", "http://127.0.0.1:1")...)
	if r.code != 0 || strings.Contains(r.err, "seed-2") || !strings.Contains(r.err, "warning: MLflow: ") {
		t.Errorf("exit code %d\n%s\n%s", r.code, r.err, r.out)
	}
	refuse(t, []string{"--mlflow", "http://localhost:5000"}, args("--mlflow", "here")...)
}

// Of runs that are done, a few small files of text are enough for a study to go on elsewhere: what a repository can keep.
func TestStudyGoesOnFromItsText(t *testing.T) {
	b, args := newStudyBench(t, "seeds: 2\narms:\n- {name: bp, recipe: tiny.yaml, set: [method.name=bp, diagnose.every=5]}\n- {name: sgr, recipe: tiny.yaml}\n")
	succeed(t, args("--arms", "bp")...)
	elsewhere := b.path("elsewhere")
	from := os.DirFS(b.path("out"))
	for _, pattern := range []string{"*/seed-*.json", "*/seed-*/config.yaml", "*/seed-*/summary.json"} {
		names, err := fs.Glob(from, pattern)
		if err != nil || len(names) != 2 {
			t.Fatalf("%s: %v, %v", pattern, names, err)
		}
		for _, name := range names {
			write(t, filepath.Join(elsewhere, name), read(t, b.path("out/"+name)))
		}
	}
	verdict := func(out string) string { // the table above it has times
		_, below, _ := strings.Cut(out, "bp: the baseline\n")
		line, _, _ := strings.Cut(below, "\n")
		return line
	}
	want := succeed(t, args()...)
	r := locus(t.Context(), append(args()[:4], "--out", elsewhere)...)
	if r.code != 0 || verdict(want) == "" || verdict(r.out) != verdict(want) {
		t.Errorf("exit code %d, %s\n%s, want\n%s", r.code, r.err, r.out, want)
	}
	const undrawn = "Not in the pictures, as their runs have no metrics.jsonl here: bp\n"
	if !strings.Contains(r.out, undrawn) || strings.Contains(want, undrawn) {
		t.Errorf("what the pictures lack:\n%s", r.out)
	}
	if strings.Contains(r.err, "bp/seed-1 begins") || !strings.Contains(r.err, "sgr/seed-2 begins") {
		t.Errorf("other runs than those left to do:\n%s", r.err)
	}
}

func TestStudyIsInterrupted(t *testing.T) {
	b, args := newStudyBench(t, "arms:\n- {name: bp, recipe: tiny.yaml, set: [schedule.epochs=100000]}\n")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // once the run has its first checkpoint
		for ctx.Err() == nil {
			if _, err := os.Stat(b.path("out/bp/seed-1/last.safetensors")); err == nil {
				cancel()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	r := locus(ctx, args()...)
	if r.code != 130 || !strings.Contains(r.err, "the same command goes on") || !strings.Contains(r.out, "not run yet") {
		t.Errorf("exit code %d\n%s\n%s", r.code, r.err, r.out)
	}
	if _, err := os.Stat(b.path("out/bp/seed-1/last.safetensors")); err != nil {
		t.Errorf("the run is not saved: %v\n%s", err, read(t, b.path("out/bp/seed-1.log")))
	}
}

// Who asks a study for a checkpoint, as Slurm does before a job's time is up, gets one of the runs under way.
func TestStudySavesWhenAsked(t *testing.T) {
	b, args := newStudyBench(t, "arms:\n- {name: bp, recipe: tiny.yaml, set: [schedule.epochs=100000]}\n")
	save := make(chan struct{})
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), saveKey{}, (<-chan struct{})(save)))
	defer cancel()
	asked := false
	go func() {
		defer cancel()
		for deadline := time.Now().Add(time.Minute); !asked && time.Now().Before(deadline); {
			save <- struct{}{} // those to a process that is too young are passed over
			time.Sleep(200 * time.Millisecond)
			log, _ := os.ReadFile(b.path("out/bp/seed-1.log"))
			asked = strings.Contains(string(log), "as asked; training goes on")
		}
	}()
	if r := locus(ctx, args()...); r.code != 130 || !asked {
		t.Errorf("exit code %d, asked %v\n%s\n%s", r.code, asked, r.err, read(t, b.path("out/bp/seed-1.log")))
	}
}

// Shards share nothing and lose nothing.
func TestStudyShardsMerge(t *testing.T) {
	b, _ := newStudyBench(t, "seeds: 2\narms:\n- {name: bp, recipe: tiny.yaml, set: [method.name=bp]}\n- {name: sgr, recipe: tiny.yaml}\n")
	for _, i := range []string{"1", "2", "3"} {
		succeed(t, "study", b.path("s.yaml"), "--data", b.data, "--out", b.path("part"+i), "--shard", i+"/3")
	}
	merged := succeed(t, "study", "merge", b.path("s.yaml"), b.path("part1"), b.path("part2"), b.path("part3"), "--out", b.path("whole"))
	again := succeed(t, "study", "merge", b.path("s.yaml"), b.path("part3"), "--out", b.path("whole"))
	if strings.Contains(merged, "not done") || merged != again {
		t.Errorf("merged\n%s\nagain\n%s", merged, again)
	}
	refuse(t, []string{"part1", "another study"}, "study", "merge", b.recipe2(t), b.path("part1"), "--out", b.path("other"))
}

// recipe2 is another study.
func (b workbench) recipe2(t *testing.T) string {
	write(t, b.path("other.yaml"), []byte("arms:\n- {name: bp, recipe: tiny.yaml}\n"))
	return b.path("other.yaml")
}

func TestStudyRefusesWhatWasChangedByHand(t *testing.T) {
	b, args := newStudyBench(t, "arms:\n- {name: bp, recipe: tiny.yaml, set: [method.name=bp]}\n- {name: sgr, recipe: tiny.yaml}\n")
	succeed(t, args()...)
	summary := b.path("out/bp/seed-1/summary.json")
	was := read(t, summary)
	write(t, summary, bytes.Replace(was, []byte(`"test_acc": `), []byte(`"test_acc": 9`), 1))
	refuse(t, []string{"summary.json is not as the study left it"}, args()...)
	write(t, summary, was)
	write(t, b.path("out/sgr/seed-1.json"), []byte(`{"arm": "bp"}`))
	refuse(t, []string{"seed-1.json is not what the study wrote"}, args()...)
	remove(t, b.path("out/sgr/seed-1.json"))
	config := b.path("out/sgr/seed-1/config.yaml")
	write(t, config, bytes.Replace(read(t, config), []byte("lambda: 1"), []byte("lambda: 2"), 1))
	refuse(t, []string{"not the run of this study's arm sgr", "lambda"}, args()...)
}

// What a study's folder has must answer what the study asks now.
func TestStudyWhoseRecipesChange(t *testing.T) {
	b, args := newStudyBench(t, "seeds: 2\narms:\n- {name: bp, recipe: tiny.yaml, set: [method.name=bp]}\n- {name: sgr, recipe: tiny.yaml}\n"+
		"- {name: hot, recipe: tiny.yaml, set: [method.name=bp, optim.lr=1000, optim.weight_decay=0.9, optim.momentum=0.99]}\n")
	want := succeed(t, args()...)
	change := func(old, new string) {
		t.Helper()
		if !strings.Contains(tiny, old) {
			t.Fatalf("the recipe lacks %q", old)
		}
		write(t, b.recipe, []byte(strings.Replace(tiny, old, new, 1)))
	}
	for _, c := range []struct{ old, new, want string }{
		{"width: 4\nmethod", "width: 8\nmethod", "bp/seed-1 was trained with model.width 4, and the arm has 8 now"},
		{"epochs: 2", "epochs: 3", "was trained with schedule.epochs 2, and the arm has 3 now"},
		{"batch: 8", "batch: 4", "data.batch 8, and the arm has 4 now"},
		{"modules: 3", "modules: 2", "sgr/seed-1 was trained with method.modules 3, and the arm has 2 now"},
	} {
		change(c.old, c.new)
		refuse(t, []string{c.want, "--out"}, args()...)
		refuse(t, []string{c.want}, args("--report")...)
	}
	change("threads: 1", "threads: 2")
	if got := succeed(t, args()...); got != want {
		t.Errorf("with other threads it says\n%s\nwant\n%s", got, want)
	}
	change("workers: 1", "workers: 2")
	succeed(t, args()...)
	write(t, b.recipe, []byte(strings.Replace(tiny, "threads: 1", "threads: 1\noptim: {nesterov: true}", 1)))
	refuse(t, []string{"optim.nesterov"}, args("--retry", "--arms", "hot")...)

	write(t, b.recipe, []byte(tiny))
	write(t, b.path("s.yaml"), []byte("seeds: 1\narms:\n- {name: bp, recipe: tiny.yaml, set: [method.name=bp]}\n"))
	const left = "Not in the report, as the study asked for has no such runs: bp/seed-2, hot/seed-1, hot/seed-2, sgr/seed-1, sgr/seed-2"
	if got := succeed(t, args()...); !strings.Contains(got, left) || !strings.Contains(string(read(t, b.path("out/study.md"))), left) {
		t.Errorf("what is left out is not told in\n%s", got)
	}
}

// Runs of a study that read a set alike have the same samples, or the study says that its files were changed.
func TestStudyWhoseDataChange(t *testing.T) {
	for _, c := range []struct{ name, keys, file, want string }{
		{"test images", "", "test_batch.bin", "test samples"},
		{"training images", "", "data_batch_2.bin", "training samples"},
		{"those of a run with the same seed", "data.validation=8", "data_batch_2.bin", "samples"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := "[method.name=bp, '" + c.keys + "']"
			if c.keys == "" {
				set = "[method.name=bp]"
			}
			doc := "arms:\n- {name: bp, recipe: tiny.yaml, set: " + set + "}\n"
			b, args := newStudyBench(t, doc)
			succeed(t, args("--seeds", "1")...)
			path := filepath.Join(b.data, c.file)
			was := read(t, path)
			write(t, path, cifar(77, len(was)/3073))
			write(t, b.path("s.yaml"), []byte(doc+strings.Replace(strings.Replace(doc, "arms:\n", "", 1), "name: bp,", "name: other,", 1)))
			for range 2 {
				refuse(t, []string{"bp/seed-1 and other/seed-1 have other", c.want, "its files were changed"}, args("--seeds", "1")...)
			}
			write(t, path, was)
			succeed(t, args("--seeds", "2")...)
			succeed(t, args("--seeds", "2", "--report")...)
		})
	}
	// Sets of two folders are two sets.
	b, _ := newStudyBench(t, "")
	for i, name := range []string{"one", "two"} {
		for j := range 5 {
			write(t, b.path(fmt.Sprintf("%s/data_batch_%d.bin", name, j+1)), cifar(uint64(10*i+j), 8))
		}
		write(t, b.path(name+"/test_batch.bin"), cifar(uint64(10*i+9), 16))
	}
	write(t, b.path("s.yaml"), fmt.Appendf(nil, "arms:\n- {name: a, recipe: tiny.yaml, set: [method.name=bp, data.dir=%s]}\n- {name: b, recipe: tiny.yaml, set: [method.name=bp, data.dir=%s]}\n",
		b.path("one"), b.path("two")))
	succeed(t, "study", b.path("s.yaml"), "--out", b.path("out"), "--seeds", "1")
}

// A clock that jumps leaves no trace: what runs took is measured by a clock that does not, and nothing compares dates.
func TestStudyKnowsNoClock(t *testing.T) {
	b, args := newStudyBench(t, "arms:\n- {name: bp, recipe: tiny.yaml, set: [method.name=bp]}\n")
	want := succeed(t, args()...)
	for _, when := range []time.Time{time.Unix(0, 0), time.Now().AddDate(50, 0, 0)} {
		err := filepath.Walk(b.path("out"), func(path string, _ os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			return os.Chtimes(path, when, when)
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := succeed(t, args()...); got != want {
			t.Errorf("with dates of %v it says\n%s", when, got)
		}
	}
	var o study.Outcome
	if err := json.Unmarshal(read(t, b.path("out/bp/seed-1.json")), &o); err != nil || o.PFLOP <= 0 || o.Machine == "" {
		t.Errorf("the outcome is %+v, %v", o, err)
	}
}

func TestStudyOnAFullDisk(t *testing.T) {
	b, args := newStudyBench(t, "arms:\n- {name: bp, recipe: tiny.yaml, set: [method.name=bp]}\n")
	full := true
	unmount := disk.Mount(b.path("out/bp"), &disktest.Faulty{Fail: func(op disktest.Op) (int, error) {
		if full && op.Kind == "write" {
			return 0, syscall.ENOSPC
		}
		return op.Size, nil
	}})
	defer unmount()
	refuse(t, []string{"seed-1.json cannot be written: no space left on device", "goes on"}, args()...)
	full = false
	if r := locus(t.Context(), args()...); r.code != 0 || !strings.Contains(r.out, "the baseline") {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
}

func TestMistakesInStudiesGetOneLine(t *testing.T) {
	b, args := newStudyBench(t, "")
	arms := "arms:\n- {name: bp, recipe: tiny.yaml}\n- {name: sgr, recipe: tiny.yaml}\n"
	for _, c := range []struct{ doc, flags, want string }{
		{"", "", "no arms"},
		{arms + "baseline: none\n", "", `baseline is "none": must be one of the study's arms, bp, sgr`},
		{arms, "--arms bq", `--arms is "bq": must be one of the study's arms, bp, sgr`},
		{"arms:\n- {name: bp, recipe: tiny.yaml, set: ['method.lambda=']}\n", "", "empty grid"},
		{"arms:\n- {name: bp, recipe: tiny.yaml, set: ['method.lambda=1,,2']}\n", "", "empty grid"},
		{"arms:\n- {name: bp, recipe: tiny.yaml, set: [lambda]}\n", "", "key=value"},
		{"seeds: 5001\n" + arms, "", "10002 cells"},
		{"arms:\n- {name: bp, recipe: tiny.yaml, set: ['optim.lr=" + strings.Repeat("1,", 200) + "1', 'method.lambda=" + strings.Repeat("1,", 200) + "1']}\n", "", "40401 cells"},
		{"seeds: 0\n" + arms, "", "line 1: seeds is 0: must be a number from 1"},
		{"seeds: [1, -2]\n" + arms, "", "line 1: seeds has -2: must be whole numbers at least 0"},
		{"seeds: [1, two]\n" + arms, "", "line 1: seeds has two"},
		{"seeds: [1, 2, 1]\n" + arms, "", "seeds has 1 twice"},
		{"metric: loss\n" + arms, "", "metric is loss: must be one of"},
		{"budget: -1\n" + arms, "", "budget is -1"},
		{"arms:\n- {name: a/b, recipe: tiny.yaml}\n", "", "arm's name is a/b"},
		{"arms:\n- {name: a, recipe: tiny.yaml}\n- {name: a, recipe: tiny.yaml}\n", "", "two arms are named a"},
		{"arms:\n- {name: a}\n", "", "arm a has no recipe"},
		{"arms:\n- {name: a, recipe: none.yaml}\n", "", "arm a: recipe"},
		{"arms:\n- {name: a, recipe: tiny.yaml, set: [optim.lr=fast]}\n", "", "arm a: optim.lr is fast"},
		{"arms:\n- {name: a, recipe: tiny.yaml, set: [seed=3]}\n", "", "arm a sets seed"},
		{"arms:\n- {name: a, recipe: tiny.yaml, set: [model.depth=9]}\n", "", "arm a: model.depth is 9"},
		{"arms:\n- {name: a, recipe: tiny.yaml, set: [data.batch=4000]}\n", "", "arm a: data.batch is 4000"},
		{"arms:\n- {name: a, recip: tiny.yaml}\n", "", "line 2: unknown key recip"},
		{"arms: 3\n", "", "line 1"},
		{"arms: [\n", "", "line"},
		{arms, "--scale full", "no scales"},
		{arms, "--shard 3/2", "--shard is"},
		{arms, "--shard 3/3", "has no runs, as the study has 2"},
		{arms, "--jobs 0", "--jobs is 0"},
		{arms, "--seeds 0", "--seeds is 0"},
	} {
		write(t, b.path("s.yaml"), []byte(c.doc))
		refuse(t, []string{c.want}, args(strings.Fields(c.flags)...)...)
	}
	refuse(t, []string{"unknown study tabel3", "table3"}, "study", "tabel3")
	refuse(t, []string{"none.yaml", "no such file"}, "study", b.path("none.yaml"))
	refuse(t, []string{"--scale", "huge", "short"}, "study", "table3", "--scale", "huge")
	refuse(t, []string{"--out"}, "study", "merge", b.path("s.yaml"), b.path("out"))
	for metric, needs := range map[string]string{"ema": "optim.ema", "validation": "data.validation", "probe": "barlow"} {
		write(t, b.path("s.yaml"), []byte("metric: "+metric+"\n"+arms))
		refuse(t, []string{"arm ", "metric is " + metric, needs}, args()...)
		refuse(t, []string{"metric is " + metric, needs}, args("--dry-run")...)
	}
	write(t, b.path("s.yaml"), []byte(arms))
	if _, err := os.Stat(b.path("out")); err == nil {
		t.Error("a folder was made for a study that cannot begin")
	}
	held, err := runfolder.New(b.path("out"))
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, []string{"in use", "process"}, args()...)
	held.Close()
	write(t, b.path("out/study.yaml"), []byte("mine"))
	refuse(t, []string{"study.yaml", "is there and is not this run's"}, args()...)
}

// A study whose folder another process has taken over ends behind the run under way, and writes nothing more there.
func TestStudyWhoseFolderIsTakenOver(t *testing.T) {
	const theirs = "elsewhere 7 000000001 0badf00d\n"
	b, args := newStudyBench(t, tinyStudy)
	lock := filepath.Join(b.path("out"), ".lock")
	cmd := program(t, args("--arms", "bp")...)
	took := trigger{text: "bp/seed-1 begins", fire: func() {
		if err := os.WriteFile(lock, []byte(theirs), 0o644); err != nil {
			t.Error(err)
		}
	}}
	cmd.Stderr = &took
	cmd.Run()
	if said := took.seen.String(); cmd.ProcessState.ExitCode() != 2 || !strings.Contains(said, `process 7 on "elsewhere"`) || strings.Contains(said, "seed-2 begins") {
		t.Errorf("exit code %d\n%s", cmd.ProcessState.ExitCode(), said)
	}
	for _, name := range []string{"bp/seed-1.json", "study.md", "study.csv"} {
		if _, err := os.Stat(filepath.Join(b.path("out"), name)); err == nil {
			t.Errorf("it has written %s", name)
		}
	}
	if text := read(t, lock); string(text) != theirs {
		t.Errorf("the other one's lock is %q", text)
	}
}

// A run that another process works on is no result of the study's.
func TestStudyWhoseRunIsInUse(t *testing.T) {
	b, args := newStudyBench(t, tinyStudy)
	dir := filepath.Join(b.path("out"), "bp", "seed-1")
	write(t, filepath.Join(dir, "notes.txt"), []byte("mine"))
	held, err := runfolder.Open(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, []string{"bp", "in use: process", "the same command goes on"}, args("--arms", "bp", "--seeds", "1")...)
	if _, err := os.Stat(dir + ".json"); err == nil {
		t.Error("the study has recorded a run that it has not made")
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	succeed(t, args("--arms", "bp", "--seeds", "1")...)
}

func TestStudyDryRun(t *testing.T) {
	b, args := newStudyBench(t, tinyStudy)
	out := succeed(t, args("--dry-run")...)
	for _, want := range []string{"hours of training in all", "sgr,lambda=0.1", "s/step"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, err := os.Stat(b.path("out")); err == nil {
		t.Error("a dry run left a folder")
	}
}
