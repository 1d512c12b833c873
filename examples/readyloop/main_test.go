package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/locus-learn/locus/torch"
)

func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	summary, err := run(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if summary.TestAcc < 95 || len(summary.ModuleAcc) != 2 || summary.ModuleAcc[0] < 90 {
		t.Errorf("accuracy %g %%, heads %g: want 95 and more of the last, 90 of the first", summary.TestAcc, summary.ModuleAcc)
	}
	if values := summary.Scores["perplexity"]; len(values) != 2 || values[1] < 1 || values[1] > 2 {
		t.Errorf("perplexities %v: want two, of two classes", values)
	}
	for _, name := range []string{"metrics.jsonl", "summary.json", "last.safetensors", "plots/accuracy.svg", "plots/score-perplexity.svg"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	if n := torch.LiveTensors(); n != 0 {
		t.Errorf("%d tensors outlive the run", n)
	}
}
