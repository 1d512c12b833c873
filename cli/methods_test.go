package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/locus-learn/locus/record"
)

// Methods on one recipe get the same number of steps, also one that trains its modules in turn; a head without classes
// has no accuracy anywhere; and a comparison that is done can be resumed.
func TestCompareMethods(t *testing.T) {
	b := newWorkbench(t)
	methods := []string{"layerwise", "greedy", "infopro-contrast"}
	line := []string{"compare", "--methods", strings.Join(methods, ","), b.recipe, "--data", b.data, "--out", b.path("cmp")}
	out := succeed(t, line...)
	if !strings.Contains(out, "– – ") || strings.Contains(out, "NaN") {
		t.Errorf("want heads without accuracy in\n%s", out)
	}
	for _, m := range methods {
		var s record.Summary
		if err := json.Unmarshal(read(t, b.path("cmp/"+m+"/summary.json")), &s); err != nil || s.Steps != 10 {
			t.Errorf("%s: %d steps, error %v", m, s.Steps, err)
		}
	}
	for _, file := range []string{"cmp/compare.svg", "cmp/compare.md", "cmp/infopro-contrast/plots/accuracy.svg"} {
		if _, err := os.Stat(b.path(file)); err != nil {
			t.Error(err)
		}
	}
	if again := succeed(t, append(line, "--resume")...); !strings.Contains(again, "greedy") {
		t.Errorf("resumed, it prints\n%s", again)
	}
	run := b.path("cmp/infopro-contrast")
	if out := succeed(t, "eval", run, "--data", b.data); strings.Count(out, "–") != 4 {
		t.Errorf("want two heads without accuracies in\n%s", out)
	}
	if out := succeed(t, "eval", run, "--data", b.data, "--json"); strings.Count(out, "null") != 4 {
		t.Errorf("want two heads without accuracies in\n%s", out)
	}
	refuse(t, []string{"method.name is gredy", "greedy"}, "compare", "--methods", "bp,gredy", b.recipe, "--data", b.data)
	refuse(t, []string{"dgl", "feature maps", "resnet32"}, b.train("x", "--set", "method.name=dgl", "--set", "model.name=mlp", "--set", "model.depth=3")...)
	refuse(t, []string{"infopro", "feature maps", "resnet32"}, b.train("x", "--set", "method.name=infopro", "--set", "model.name=mlp", "--set", "model.depth=3")...)
	refuse(t, []string{"head.name", "contrast"}, b.train("x", "--set", "head.name=contrast")...)
	refuse(t, []string{"method.sgr", "bp"}, b.train("x", "--set", "method.name=bp", "--set", "method.sgr=true")...)
	refuse(t, []string{"method.sgr", "greedy"}, b.train("x", "--set", "method.name=greedy", "--set", "method.sgr=true")...)
	refuse(t, []string{"method.task", "1 number"}, b.train("x", "--set", "method.name=infopro", "--set", "method.task=1")...)
	refuse(t, []string{"head.depth_min is 9"}, b.train("x", "--set", "head.name=auglocal", "--set", "head.depth_min=9")...)
}

// By itself, greedy training takes the recipe's epochs for each module.
func TestGreedyTakesEpochsForEachModule(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--set", "method.name=greedy")...)
	var s record.Summary
	if err := json.Unmarshal(read(t, b.path("run/summary.json")), &s); err != nil || s.Steps != 30 {
		t.Errorf("%d steps, error %v; want 3 modules × 2 epochs × 5", s.Steps, err)
	}
	if log := string(read(t, b.path("run/metrics.jsonl"))); strings.Contains(log, `"loss":null`) || !strings.Contains(log, `"module_loss":[null,`) {
		t.Errorf("want the loss of the module that trains in\n%s", log)
	}
}
