package local

import (
	"math"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// weighed names what its answers are measured by.
type weighed struct{ Classify }

func (weighed) Metrics() []Metric {
	return []Metric{{Name: "count", Sum: func(_ *torch.Scope, answers, y torch.Tensor) float64 {
		return float64(answers.Shape()[0] * y.Shape()[0])
	}}}
}

// A rule and its objective name what heads are measured by; each head has the sums in that order, and one that gives no
// answers has none.
func TestMetrics(t *testing.T) {
	init := nn.Init{Seed: 1, Device: torch.CPU}
	block := func(name string, in int) []nn.Block {
		return []nn.Block{{Name: name, Layer: nn.NewLinear(init.In(name), in, 5), Out: nn.Shape{C: 5}}}
	}
	modules := []*Module{
		NewModule(1, false, block("a", 3), nn.NewLinear(init.In("heads.1"), 5, 4), nil, nil),
		NewModule(2, false, block("b", 5), nn.NewLinear(init.In("heads.2"), 5, 4), nil, nil),
		NewModule(3, true, block("c", 5), nn.NewLinear(init.In("fc"), 5, 4), nil, nil),
	}
	modules[1].Embeds = true
	defer func() {
		for _, m := range modules {
			m.Free()
		}
	}()
	rule := Rule{Objective: weighed{}, Term: None{}, Credit: Autograd{}, Metrics: []Metric{Perplexity}}
	chain := NewChain(modules, rule, Together{}, torch.Float32)
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	before := torch.LiveTensors()
	x, y := s.FromFloats([]float32{1, 2, 3, -1, 0, 1}, 2, 3).Keep(), s.FromInts([]int64{3, 0}).Keep()
	scores, err := chain.Evaluate(x, y)
	if err != nil {
		t.Fatal(err)
	}
	metrics := rule.Measured()
	if len(metrics) != 2 || metrics[0].Name != "perplexity" || metrics[1].Name != "count" {
		t.Fatalf("metrics %v, want perplexity and count", metrics)
	}
	for k, score := range scores {
		if k == 1 {
			if score.Sums != nil || !math.IsNaN(Perplexity.Of(0, score.N)) {
				t.Errorf("a head without answers has sums %v", score.Sums)
			}
			continue
		}
		if len(score.Sums) != 2 || score.Sums[1] != 4 {
			t.Errorf("head %d has sums %v, want a count of 2·2", k+1, score.Sums)
		}
		if got, want := Perplexity.Of(score.Sums[0], score.N), math.Exp(score.Loss/2); math.Abs(got-want) > 1e-6*want {
			t.Errorf("head %d has perplexity %g, want exp of its loss, %g", k+1, got, want)
		}
	}
	if n := torch.LiveTensors(); n != before {
		t.Errorf("%d tensors outlive the evaluation", n-before)
	}
}
