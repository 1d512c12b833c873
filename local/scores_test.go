package local_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// through is a head that hands on what it gets.
type through struct{}

func (through) Forward(_ *nn.Pass, x torch.Tensor) torch.Tensor { return x }

// Losses and gradients are PyTorch's, by testdata/scores.py.
func TestScoresAgainstPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/scores.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Logits, Soft, Weights []float64
		Labels                []int64
		Cases                 []struct {
			Name            string
			Weighted, Soft  bool
			Gamma           int
			Smoothing, Loss float64
			Gradient        []float64
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil || len(golden.Cases) != 7 {
		t.Fatalf("%d cases, %v", len(golden.Cases), err)
	}
	n := int64(len(golden.Labels))
	classes := int64(len(golden.Logits)) / n
	for _, c := range golden.Cases {
		nothingLeft(t, func() {
			s := torch.NewScope(torch.Grad)
			defer s.Close()
			p := nn.Train(s, torch.Float64, nil)
			x := s.FromDoubles(golden.Logits, n, classes).SetRequiresGrad(true)
			in := local.Signal{Y: s.FromInts(golden.Labels)}
			if c.Soft {
				in.Y = s.FromDoubles(golden.Soft, n, classes)
			}
			o := local.Classify{Smoothing: c.Smoothing, Scores: local.Scores{Gamma: c.Gamma}}
			if c.Weighted {
				o.Scores.Weights = golden.Weights
			}
			loss := o.Loss(p, &local.Module{Head: through{}}, x, in)
			if got := loss.Item(); math.Abs(got-c.Loss) > 1e-6 { // weights are float32
				t.Errorf("%s: loss %.9g, want %.9g", c.Name, got, c.Loss)
			}
			gradient := s.Grad(loss, []torch.Tensor{x}, torch.GradOptions{})[0].Float64s()
			for i, want := range c.Gradient {
				if math.Abs(gradient[i]-want) > 1e-6 {
					t.Errorf("%s: gradient %d is %.9g, want %.9g", c.Name, i, gradient[i], want)
				}
			}
		})
	}
}

// SGR finds the same gradients by its ways where classes and samples count differently.
func TestReconciliationOfScores(t *testing.T) {
	scores := local.Scores{Gamma: 2}
	for class := range classes {
		scores.Weights = append(scores.Weights, 0.5+float64(class))
	}
	step := func(gradient string) (updates [][]float64) {
		c := chain(t, zoo.Options{Name: "resnet32", Depth: 8, Width: 4}, sgr(gradient), torch.Float64)
		c.Rule.Objective = c.Rule.Objective.(local.Chooser).Choose(scores)
		before := stateOf(c.Modules()...)
		train(t, c, 1)
		after := stateOf(c.Modules()...)
		for _, m := range c.Modules() {
			updates = append(updates, update(m, before, after))
		}
		return updates
	}
	want := step("double")
	for _, way := range []string{"directional", "tangent", "auto"} { // there is no tangent of these: it is directional
		for k, got := range step(way) {
			if cos, ratio := cosine(got, want[k]); cos < 1-1e-6 || math.Abs(ratio-1) > 1e-4 {
				t.Errorf("%s: module %d moves at cosine %g, ratio %g to double", way, k+1, cos, ratio)
			}
		}
	}
}

func TestBalanced(t *testing.T) {
	for _, c := range []struct {
		counts []int
		want   []float64
	}{
		{[]int{10, 10}, []float64{1, 1}},
		{[]int{30, 10}, []float64{40.0 / 60, 2}},
		{[]int{6, 0, 2}, []float64{8.0 / 12, 1, 2}},
	} {
		if got := local.Balanced(c.counts); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.counts, got, c.want)
		}
	}
}
