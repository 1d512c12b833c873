package cli

import (
	"encoding/csv"
	"os"
	"strings"
	"testing"
)

func TestLRFind(t *testing.T) {
	b := newWorkbench(t)
	out := succeed(t, "lr-find", b.recipe, "--data", b.data, "--steps", "12", "--to", "0.1", "--out", b.path("rates"))
	for _, want := range []string{"12 steps, rates from 1e-05 to 0.1", "suggestion", b.path("rates/lr-find.csv")} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(string(read(t, b.path("rates/lr-find.csv"))))).ReadAll()
	if err != nil || len(rows) != 13 || strings.Join(rows[0], " ") != "lr loss smooth module_1 module_2 module_3" {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if svg := string(read(t, b.path("rates/lr-find.svg"))); !strings.Contains(svg, "learning rate") {
		t.Error("the picture has no axis")
	}
	refuse(t, []string{"--steps is 3"}, "lr-find", b.recipe, "--data", b.data, "--steps", "3")
	refuse(t, []string{"--out is empty"}, "lr-find", b.recipe, "--data", b.data, "--out", "")
	write(t, b.path("mine/lr-find.csv"), []byte("mine"))
	refuse(t, []string{"lr-find.csv", "move it away"}, "lr-find", b.recipe, "--data", b.data, "--steps", "10", "--out", b.path("mine"))
}

// A profile has what each module took, and changes nothing in the run.
func TestProfile(t *testing.T) {
	b := newWorkbench(t)
	plain := b.train("plain")
	succeed(t, plain...)
	out := succeed(t, append(b.train("run"), "--profile", b.path("where"))...)
	for _, want := range []string{"ms a step", "of all modules, %", "go tool pprof"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(string(read(t, b.path("where/modules.csv"))))).ReadAll()
	if err != nil || len(rows) != 4 || rows[3][0] != "3" || rows[3][1] != "10" || strings.HasPrefix(rows[3][2], "-") {
		t.Errorf("%v, %v", rows, err)
	}
	if info, err := os.Stat(b.path("where/cpu.pprof")); err != nil || info.Size() == 0 {
		t.Errorf("no profile: %v", err)
	}
	if hash(t, b.path("run/last.safetensors")) != hash(t, b.path("plain/last.safetensors")) {
		t.Error("with a profile the weights differ")
	}
	refuse(t, []string{"holds a run"}, append(b.train("run"), "--profile", b.path("none"))...) // before a step
	if left, _ := os.ReadDir(b.path("none")); len(left) > 2 {
		t.Errorf("a run that did not begin leaves %v", left)
	}
	refuse(t, []string{"--profile is empty"}, append(b.train("new"), "--profile", "")...)
	write(t, b.path("mine/cpu.pprof"), []byte("mine"))
	refuse(t, []string{"cpu.pprof", "move it away"}, append(b.train("new"), "--profile", b.path("mine"))...)
}
