package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/bench"
	"github.com/locus-learn/locus/train"
)

// What was measured before Ctrl-C is printed.
func TestInterruptedBenchKeepsItsRows(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	spec := train.Defaults()
	spec.Model.Name, spec.Model.Width, spec.Head.Name, spec.Model.Image = "mlp", 4, "linear", 4
	turns := 0
	rows, err := bench.Run(ctx, spec.Spec(square(4, benchClasses)), bench.Options{
		Methods: []string{"bp"}, Batch: 2, LR: 0.1, Steps: 1000, Progress: func(done, total int) {
			if turns = done; done == 3 {
				cancel()
			}
			if total != 1000 {
				t.Errorf("of %d turns", total)
			}
		},
	})
	if !errors.Is(err, context.Canceled) || turns != 3 || len(rows) != 1 || rows[0].StepSeconds <= 0 || rows[0].PeakBytes == 0 {
		t.Errorf("after %d turns: %v, rows %+v", turns, err, rows)
	}
}

func TestBenchComparesWithAnEarlierResult(t *testing.T) {
	dir := t.TempDir()
	file, plot := filepath.Join(dir, "before.json"), filepath.Join(dir, "bench.svg")
	args := []string{"bench", "--model", "mlp", "--methods", "bp,sgr", "--modules", "2", "--batch", "2", "--image", "4",
		"--threads", "1", "--steps", "1", "--warmup", "0", "--set", "model.width=4", "--set", "head.name=linear"}
	var rows []bench.Result
	if err := json.Unmarshal([]byte(succeed(t, append(args, "--json")...)), &rows); err != nil {
		t.Fatal(err)
	}
	args = append(args, "--against", file)
	earlier := func(more int64) {
		for i := range rows {
			rows[i].StepSeconds = 1e6 // whatever this machine does, it is faster now
			rows[i].PeakBytes += more
		}
		data, err := json.Marshal(rows)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, data)
	}
	earlier(0)
	if out := succeed(t, append(args, "--plot", plot)...); strings.Count(out, "no regression") != 2 {
		t.Errorf("want two rows without a regression in\n%s", out)
	}
	if _, err := os.Stat(plot); err != nil {
		t.Error(err)
	}
	earlier(-1)
	r := locus(t.Context(), append(args, "--json")...)
	if r.code != 1 || !strings.Contains(r.err, "more memory") || !strings.Contains(r.err, "regression against "+file) {
		t.Errorf("a byte more: exit code %d\n%s", r.code, r.err)
	}
	if err := json.Unmarshal([]byte(r.out), &rows); err != nil {
		t.Errorf("the comparison spoils the JSON: %v", err)
	}
	refuse(t, []string{"none of these rows"}, append(args, "--image", "5")...)
	refuse(t, []string{"cannot be read", "no such file"}, append(args, "--against", file+".not")...)
}
