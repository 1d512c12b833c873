package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// accuracyOfLayer is the share of rows that a linear layer answers right.
func accuracyOfLayer(c *clusters, w, b []float64) float64 {
	right := 0
	logits := c.answers(w, b)
	for i := range c.n {
		row := logits[i*c.classes : (i+1)*c.classes]
		best := 0
		for k, v := range row {
			if v > row[best] {
				best = k
			}
		}
		if best == int(c.labels[i]) {
			right++
		}
	}
	return float64(right) / float64(c.n)
}

// A head that begins at the class means answers as the nearest mean does, and is as sure as suits it best.
func TestHeadsBeginAtTheNearestMean(t *testing.T) {
	f := clouds(rand.New(rand.NewPCG(1, 0)), 4, 50, 0.4)
	defer f.free()
	c := newClusters(f, 0, 4)
	s := c.sharpness()
	w, b := c.nearest(s)
	logits := c.answers(w, b)
	for i := range c.n {
		best, nearest := 0, 0
		square := func(k int) (sum float64) {
			for j, v := range c.row(i) {
				sum += (v - c.means[k][j]) * (v - c.means[k][j])
			}
			return sum
		}
		for k := range c.classes {
			if logits[i*c.classes+k] > logits[i*c.classes+best] {
				best = k
			}
			if square(k) < square(nearest) {
				nearest = k
			}
		}
		if best != nearest {
			t.Fatalf("row %d: class %d is answered, the nearest mean is that of %d", i, best, nearest)
		}
	}
	loss := c.crossEntropy(logits, 1)
	for _, other := range []float64{0.5, 0.9, 1.1, 2} {
		if l := c.crossEntropy(logits, other); l < loss {
			t.Errorf("%g times as sure, the loss is %g, less than %g", other, l, loss)
		}
	}
	if uniform := math.Log(4); loss > 0.8*uniform {
		t.Errorf("the loss is %g, that of no answer %g", loss, uniform)
	}
}

// A class without a sample is answered as the mean of all is, and no number is lost.
func TestHeadsBeginWithoutASampleOfAClass(t *testing.T) {
	f := clouds(rand.New(rand.NewPCG(2, 0)), 3, 10, 0.1)
	defer f.free()
	c := newClusters(f, 0, 5)
	w, b := c.nearest(c.sharpness())
	for _, v := range append(w, b...) {
		if v-v != 0 {
			t.Fatalf("weights have %g", v)
		}
	}
	if got := accuracyOfLayer(c, w, b); got != 1 {
		t.Errorf("%g of three clear classes are right", got)
	}
}

// The probe is trained on centred and scaled features, and folded back into a layer for the features as they are.
func TestHeadsBeginAsALinearProbe(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 0))
	f := clouds(random, 4, 100, 0.7)
	defer f.free()
	s := torch.NewScope(torch.NoGrad)
	moved := s.Add(s.Scale(f.modules[0], 50), s.Full(torch.Float32, 300, 1), 1).Keep() // far away and large
	s.Close()
	f.modules[0].Free()
	f.modules[0] = moved
	c := newClusters(f, 0, 4)
	w, b := c.nearest(c.sharpness())
	o := ProbeOptions{Epochs: 60, LR: 0.3, Batch: 64}
	pw, pb, err := o.refined(t.Context(), f, 0, c, w, b, 1)
	if err != nil {
		t.Fatal(err)
	}
	means, probe := c.crossEntropy(c.answers(w, b), 1), c.crossEntropy(c.answers(pw, pb), 1)
	t.Logf("cross-entropy %g by means, %g by the probe; right %g, %g", means, probe, accuracyOfLayer(c, w, b), accuracyOfLayer(c, pw, pb))
	if !(probe < means) {
		t.Errorf("the probe's loss is %g, that of the means %g", probe, means)
	}
}
