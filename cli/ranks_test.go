package cli

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/train"
)

// A process holds at rest what its modules hold, to the byte. While it trains it needs what the planner, which has all modules in one
// process, says of its largest module, within the planner's 5 %, and signals: at most one that has arrived, and three that are to
// be sent.
func TestRanksNeedTheMemoryOfTheirModules(t *testing.T) {
	b := newWorkbench(t)
	sets := []string{"threads=1", "method.name=sgr", "method.modules=4", "model.depth=14", "model.width=16", "data.batch=20"}
	args := b.train("run", "--steps", "6", "--set", "mesh.modules=3")
	for _, s := range sets {
		args = append(args, "--set", s)
	}
	if r := several(t, 3, nil, args...); r.code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	ranks := summary(t, b.path("run")).Ranks
	c, err := train.Load(b.recipe, sets)
	if err != nil {
		t.Fatal(err)
	}
	spec := c.Spec(model.Input{Shape: nn.Shape{C: 3, H: 32, W: 32}, Classes: 10})
	p, err := plan.New(spec, plan.For(spec, 20))
	if err != nil {
		t.Fatal(err)
	}
	ends, err := p.Given()
	if err != nil {
		t.Fatal(err)
	}
	predicted, err := p.Predict(ends, 20)
	p.Free()
	if err != nil {
		t.Fatal(err)
	}
	if len(ranks) != 3 || len(predicted.Modules) != 4 {
		t.Fatalf("%d ranks and %d modules", len(ranks), len(predicted.Modules))
	}
	for rank, run := range [][2]int{{0, 1}, {1, 2}, {2, 4}} {
		var resting, most, arrives, leaves int64
		for k := run[0]; k < run[1]; k++ {
			m := predicted.Modules[k]
			resting, most, leaves = resting+m.ParameterBytes+m.OptimizerBytes, max(most, m.ActivationBytes), m.LinkBytes
		}
		if run[0] > 0 {
			arrives = predicted.Modules[run[0]-1].LinkBytes
		}
		got := ranks[rank]
		step := got.PeakBytes - got.RestingBytes
		t.Logf("rank %d: at rest %d, in a step %d; predicted %d and %d, signals of %d and %d", rank, got.RestingBytes, step, resting, most, arrives, leaves)
		if got.RestingBytes != resting {
			t.Errorf("rank %d holds %d bytes at rest, its modules %d", rank, got.RestingBytes, resting)
		}
		if least, limit := most*95/100, most*105/100+arrives+3*leaves; step < least || step > limit {
			t.Errorf("rank %d needs %d bytes in a step, want %d to %d", rank, step, least, limit)
		}
	}
}

// summary reads that of a run.
func summary(t *testing.T, dir string) (s record.Summary) {
	t.Helper()
	text, err := os.ReadFile(dir + "/summary.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}
