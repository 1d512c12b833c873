package train_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/record"
)

func init() {
	method.Register(method.Method{
		Name: "measured", Doc: "layer-wise, with perplexity",
		Claims: method.Claims{Backward: method.Inside, Transport: method.Inside, Descends: true, Trains: "all modules on each batch"},
		Compose: func(method.Options) (local.Rule, local.Schedule) {
			rule := local.Rule{Objective: local.Classify{}, Term: local.None{}, Credit: local.Autograd{}}
			rule.Metrics = []local.Metric{local.Perplexity}
			return rule, local.Together{}
		},
	})
}

// What a method measures its heads by is in events, summary and pictures, a value a head.
func TestScoresByName(t *testing.T) {
	b := newWorkbench(t)
	summary, err := b.run(t, t.Context(), "run", nil, false, "method.name=measured")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(b.dir, "run", "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log, err := record.ReadJSONL(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log.Epochs {
		values := e.Scores["perplexity"]
		if len(values) != 3 {
			t.Fatalf("epoch %d has perplexities %v, want 3", e.Epoch, values)
		}
		if want := math.Exp(*e.TestLoss); math.Abs(values[2]-want) > 1e-5*want {
			t.Errorf("epoch %d: perplexity of the last head is %g, exp of its loss %g", e.Epoch, values[2], want)
		}
	}
	if got := summary.Scores["perplexity"]; len(got) != 3 || got[2] != log.Epochs[len(log.Epochs)-1].Scores["perplexity"][2] {
		t.Errorf("the summary has perplexities %v", got)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "run", "plots", "score-perplexity.svg")); err != nil {
		t.Error(err)
	}
}
