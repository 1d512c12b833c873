package cli

import (
	"bytes"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/locus-learn/locus/record"
)

// diagnoses reads those of a run.
func diagnoses(t *testing.T, dir string) []record.Diagnosis {
	t.Helper()
	b, err := os.ReadFile(dir + "/metrics.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	log, err := record.ReadJSONL(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return log.Diagnoses
}

// Several processes diagnose what one does, and learn what it learns. With a part of the modules each all of it is the same to the
// last bit. With a part of each batch, the first diagnosis is, but for what the step's update does; that, and
// later ones, are the same as far as sums of parts are.
func TestProcessesAreDiagnosed(t *testing.T) {
	b := newWorkbench(t)
	train := func(out string, n int, more ...string) []record.Diagnosis {
		args := b.train(out, append(more, "--steps", "7", "--set", "method.name=sgr", "--set", "threads=1", "--set", "mesh.sync_norm=true")...)
		if n == 1 {
			succeed(t, args...)
		} else if r := several(t, n, nil, args...); r.code != 0 {
			t.Fatalf("%s: exit code %d\n%s%s", out, r.code, r.out, r.err)
		}
		return diagnoses(t, b.path(out))
	}
	diagnose := []string{"--set", "diagnose.every=3", "--set", "diagnose.batch=8"}
	want := train("alone", 1, diagnose...)
	if len(want) != 3 || len(want[0].ShiftTrain) != 3 || want[2].ShiftTrain[2] == 0 {
		t.Fatalf("diagnoses %+v", want)
	}
	for layout, n := range map[string]int{"mesh.modules=3": 3, "mesh.modules=2 mesh.data=2": 4} {
		set := append([]string{}, diagnose...)
		for _, s := range strings.Fields(layout) {
			set = append(set, "--set", s)
		}
		out := "several" + strconv.Itoa(n)
		got := train(out, n, set...)
		near := cmpopts.EquateNaNs()
		if n == 4 {
			near = cmp.Comparer(func(a, b float64) bool {
				return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-3*math.Abs(a)+1e-5
			})
			first, one := got[0], want[0]
			first.Shift, first.ShiftTrain, one.Shift, one.ShiftTrain = nil, nil, nil, nil
			if d := cmp.Diff(one, first, cmpopts.EquateNaNs()); d != "" {
				t.Errorf("%s: first diagnosis, -one process +several\n%s", layout, d)
			}
		}
		if d := cmp.Diff(want, got, near); d != "" {
			t.Errorf("%s: diagnoses, -one process +several\n%s", layout, d)
		}
		if n == 3 {
			alike(t, layout, tensors(t, b.path(out+"/last.safetensors")), tensors(t, b.path("alone/last.safetensors")))
		}
	}
}
