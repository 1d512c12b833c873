package local_test

import (
	"math"
	"slices"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
)

// In a batch each sample leaves where it would leave alone, with the same answer: those that go on keep their places.
func TestPredictInABatchIsPredictOneByOne(t *testing.T) {
	c := composed(t, "layerwise")
	alone := func(confidence float64) (answers []local.Answer) {
		for i := range batch {
			x, y := randomBatch(torch.Float32, 1)
			s := torch.NewScope(torch.NoGrad)
			one := s.Clone(s.Narrow(x, 0, int64(i), 1)).Keep()
			s.Close()
			x.Free()
			y.Free()
			a, err := c.Predict(one, confidence)
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, a...)
		}
		return answers
	}
	nothingLeft(t, func() {
		for _, confidence := range []float64{0, 0.1, median(alone(1e-9)), 1} {
			want := alone(confidence)
			x, y := randomBatch(torch.Float32, 1)
			y.Free()
			got, err := c.Predict(x, confidence)
			if err != nil || len(got) != batch {
				t.Fatalf("%d answers, %v", len(got), err)
			}
			modules := map[int]int{}
			for i := range got {
				modules[got[i].Module]++
				if got[i].Module != want[i].Module {
					t.Errorf("confidence %g, sample %d: module %d answers, alone %d", confidence, i, got[i].Module, want[i].Module)
				}
				for k, p := range got[i].Probabilities {
					if math.Abs(p-want[i].Probabilities[k]) > 1e-5 {
						t.Errorf("confidence %g, sample %d, class %d: %g, alone %g", confidence, i, k, p, want[i].Probabilities[k])
					}
				}
			}
			t.Logf("confidence %g: %v", confidence, modules)
		}
	})
}

// median is a confidence that about half of the answers reach.
func median(answers []local.Answer) float64 {
	sum := 0.0
	for _, a := range answers {
		best := 0.0
		for _, p := range a.Probabilities {
			best = max(best, p)
		}
		sum += best
	}
	return sum / float64(len(answers))
}

// Examine tells the logits that scores are counted of, of each module and batch, and nothing is left behind.
func TestExamineTellsLogits(t *testing.T) {
	c := composed(t, "layerwise")
	nothingLeft(t, func() {
		var batches []local.Signal
		labels := [][]float64{}
		for seed := range uint64(2) {
			x, y := randomBatch(torch.Float32, seed)
			batches = append(batches, local.Signal{X: x, Y: y})
			labels = append(labels, y.Float64s())
		}
		right := map[[2]int]int{}
		scores, err := c.Examine(batches, func(module, batch int, logits torch.Tensor) {
			values := logits.Float64s()
			classes := len(values) / len(labels[batch])
			for i, label := range labels[batch] {
				row := values[i*classes : (i+1)*classes]
				if row[int(label)] == slices.Max(row) {
					right[[2]int{module, batch}]++
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, each := range scores {
			for k, s := range each {
				if got := right[[2]int{k, i}]; got != s.Top1 || s.N != batch {
					t.Errorf("batch %d, module %d: %d of the logits are right, the score says %d of %d", i, k+1, got, s.Top1, s.N)
				}
			}
		}
		if len(scores) != 2 || len(scores[0]) != len(c.Modules()) {
			t.Errorf("scores %v", scores)
		}
	})
}
