package local_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// several makes a chain learn from samples that have any number of classes.
func several(c *local.Chain, weights []float64) *local.Chain {
	c.Rule.MultiLabel = true
	c.Rule.Objective = c.Rule.Objective.(local.Chooser).Choose(local.Scores{MultiLabel: true, Weights: weights})
	return c
}

// severalLabels returns images, and labels of which a third are ones.
func severalLabels(dtype torch.DType, root uint64) (x, y torch.Tensor) {
	x, y = randomBatch(dtype, root)
	y.Free()
	random := seed.Rand(root, "several")
	targets := make([]float32, batch*classes)
	for i := range targets {
		if random.IntN(3) == 0 {
			targets[i] = 1
		}
	}
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	return x, s.FromFloats(targets, batch, classes).Keep()
}

// Losses and gradients of the binary cross-entropy are PyTorch's, by testdata/multilabel.py.
func TestBinaryAgainstPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/multilabel.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Logits, Labels, Weights []float64
		Cases                   []struct {
			Name            string
			Weighted        bool
			Smoothing, Loss float64
			Gradient        []float64
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil || len(golden.Cases) != 4 {
		t.Fatalf("%d cases, %v", len(golden.Cases), err)
	}
	classes := int64(len(golden.Weights))
	n := int64(len(golden.Logits)) / classes
	for _, c := range golden.Cases {
		nothingLeft(t, func() {
			s := torch.NewScope(torch.Grad)
			defer s.Close()
			p := nn.Train(s, torch.Float64, nil)
			x := s.FromDoubles(golden.Logits, n, classes).SetRequiresGrad(true)
			in := local.Signal{Y: s.FromDoubles(golden.Labels, n, classes)}
			o := local.Classify{Smoothing: c.Smoothing, Scores: local.Scores{MultiLabel: true}}
			if c.Weighted {
				o.Scores.Weights = golden.Weights
			}
			loss := o.Loss(p, &local.Module{Head: through{}}, x, in)
			if got := loss.Item(); math.Abs(got-c.Loss) > 1e-12 {
				t.Errorf("%s: loss %.15g, want %.15g", c.Name, got, c.Loss)
			}
			gradient := s.Grad(loss, []torch.Tensor{x}, torch.GradOptions{})[0].Float64s()
			for i, want := range c.Gradient {
				if math.Abs(gradient[i]-want) > 1e-12 {
					t.Errorf("%s: gradient %d is %.15g, want %.15g", c.Name, i, gradient[i], want)
				}
			}
		})
	}
}

// SGR finds the same gradients by its ways for samples of several classes, weighted or not.
func TestReconciliationOfSeveralLabels(t *testing.T) {
	var weights []float64
	for class := range classes {
		weights = append(weights, 0.5+float64(class))
	}
	for _, w := range [][]float64{nil, weights} {
		step := func(gradient string) (updates [][]float64) {
			c := several(chain(t, zoo.Options{Name: "resnet32", Depth: 8, Width: 4}, sgr(gradient), torch.Float64), w)
			before := stateOf(c.Modules()...)
			x, y := severalLabels(torch.Float64, 1)
			if _, err := c.Step(x, y, local.Tick{LR: 0.1}); err != nil {
				t.Fatal(err)
			}
			after := stateOf(c.Modules()...)
			for _, m := range c.Modules() {
				updates = append(updates, update(m, before, after))
			}
			return updates
		}
		want := step("double")
		for _, way := range []string{"directional", "auto"} {
			for k, got := range step(way) {
				if cos, ratio := cosine(got, want[k]); cos < 1-1e-6 || math.Abs(ratio-1) > 1e-4 {
					t.Errorf("%s: module %d moves at cosine %g, ratio %g to double", way, k+1, cos, ratio)
				}
			}
		}
	}
}

// An evaluation keeps what heads answer about each class, and its loss is the mean of it; a prediction has the sigmoids of the
// same answers, and leaves at the head that is sure of every class.
func TestSeveralLabelsAreEvaluatedAndPredicted(t *testing.T) {
	c := several(composed(t, "layerwise"), nil)
	nothingLeft(t, func() {
		x, y := severalLabels(torch.Float32, 1)
		truth := y.Float64s()
		scores, err := c.Evaluate(x, y)
		if err != nil {
			t.Fatal(err)
		}
		for k, s := range scores {
			if s.Top1 != 0 || s.N != batch || len(s.Answers) != batch*classes {
				t.Fatalf("module %d: %d right, %d of %d answers", k+1, s.Top1, len(s.Answers), s.N)
			}
			loss := 0.0
			for i, z := range s.Answers {
				p := local.Sigmoid(float64(z))
				loss -= (truth[i]*math.Log(p) + (1-truth[i])*math.Log(1-p)) / classes
			}
			if math.Abs(loss-s.Loss) > 1e-4*loss {
				t.Errorf("module %d: loss %g, its answers' %g", k+1, s.Loss, loss)
			}
		}
		predict := func(confidence float64) []local.Answer {
			x, y := severalLabels(torch.Float32, 1)
			y.Free()
			answers, err := c.Predict(x, confidence)
			if err != nil {
				t.Fatal(err)
			}
			return answers
		}
		for i, a := range predict(0) {
			for class, p := range a.Probabilities {
				if want := local.Sigmoid(float64(scores[len(scores)-1].Answers[i*classes+class])); math.Abs(p-want) > 1e-5 {
					t.Errorf("sample %d, class %d: %g, want %g", i, class, p, want)
				}
			}
		}
		first := scores[0].Answers
		sure := make([]float64, batch)
		for i := range sure {
			var row []float64
			for _, z := range first[i*classes : (i+1)*classes] {
				row = append(row, local.Sigmoid(float64(z)))
			}
			sure[i] = local.Sureness(row, true)
		}
		ordered := slices.Sorted(slices.Values(sure))
		confidence := (ordered[batch/2-1] + ordered[batch/2]) / 2
		for i, a := range predict(confidence) {
			if leaves := a.Module == 1; leaves != (sure[i] >= confidence) {
				t.Errorf("sample %d leaves at module %d: the first head's sureness is %g, asked for %g", i, a.Module, sure[i], confidence)
			}
		}
	})
}

func TestBalancedPositives(t *testing.T) {
	if got, want := local.BalancedPositives([]int{10, 5, 0, 20}, 20), []float64{1, 3, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
