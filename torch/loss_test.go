package torch_test

import (
	"math"
	"testing"

	"github.com/locus-learn/locus/torch"
)

func isNear(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-12*max(1, math.Abs(want))) {
		t.Errorf("%s is %.15g, want %.15g", what, got, want)
	}
}

// With corners aligned, a line of two becomes a ramp, and the corners stay.
func TestUpsampleBilinear(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	y := s.UpsampleBilinear(s.FromDoubles([]float64{0, 3, 6, 9}, 1, 1, 2, 2), 2, 4)
	for i, want := range []float64{0, 1, 2, 3, 6, 7, 8, 9} {
		isNear(t, "a pixel", y.Float64s()[i], want)
	}
}

func TestBinaryCrossEntropy(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	logits, targets := []float64{-3, 0, 2, 800}, []float64{0.2, 0.5, 1, 1}
	var want float64
	for i, l := range logits {
		p := 1 / (1 + math.Exp(-l))
		want -= targets[i] * math.Log(p) / 4
		if targets[i] < 1 {
			want -= (1 - targets[i]) * math.Log(1-p) / 4
		}
	}
	isNear(t, "the loss", s.BinaryCrossEntropy(s.FromDoubles(logits, 4), s.FromDoubles(targets, 4)).Item(), want)
}

func TestNormalizeRows(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	got := s.NormalizeRows(s.FromDoubles([]float64{3, 4, 0, 0}, 2, 2), 1e-12).Float64s()
	for i, want := range []float64{0.6, 0.8, 0, 0} {
		isNear(t, "an element", got[i], want)
	}
}

// Against the definition, written out; the third sample is alone in its class.
func TestSupervisedContrast(t *testing.T) {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	angles, labels := []float64{0.1, 0.9, 2, 3, 3.3}, []int64{7, 5, 1, 7, 5}
	var rows []float64
	for _, a := range angles {
		rows = append(rows, math.Cos(a), math.Sin(a))
	}
	loss := func(rows []float64) (sum float64) {
		n := 0.0
		for i := range labels {
			var total, positive, count float64
			for a := range labels {
				if a == i {
					continue
				}
				similarity := (rows[2*i]*rows[2*a] + rows[2*i+1]*rows[2*a+1]) / 0.5
				total += math.Exp(similarity)
				if labels[a] == labels[i] {
					positive += similarity
					count++
				}
			}
			if count > 0 {
				sum += math.Log(total) - positive/count
				n++
			}
		}
		return sum / n
	}
	z := s.FromDoubles(rows, 5, 2).SetRequiresGrad(true)
	got := s.SupervisedContrast(z, s.FromInts(labels), 0.5)
	isNear(t, "the loss", got.Item(), loss(rows))
	gradient := s.Grad(got, []torch.Tensor{z}, torch.GradOptions{})[0].Float64s()
	for i := range rows {
		const h = 1e-6
		up, down := append([]float64{}, rows...), append([]float64{}, rows...)
		up[i] += h
		down[i] -= h
		if want := (loss(up) - loss(down)) / (2 * h); math.Abs(gradient[i]-want) > 1e-8 {
			t.Errorf("∂/∂z[%d] is %g, differences say %g", i, gradient[i], want)
		}
	}
	alone := s.SupervisedContrast(s.FromDoubles(rows[:4], 2, 2), s.FromInts([]int64{1, 2}), 0.5)
	isNear(t, "the loss without pairs", alone.Item(), 0)
}

// Only what autograd has a graph of counts.
func TestRecorded(t *testing.T) {
	s, quiet := torch.NewScope(torch.Grad), torch.NewScope(torch.NoGrad)
	defer s.Close()
	defer quiet.Close()
	w := s.FromDoubles([]float64{1, 2}, 2).SetRequiresGrad(true)
	plain := s.FromDoubles([]float64{3, 4}, 2)
	for _, tt := range []struct {
		what string
		n    int64
		f    func()
	}{
		{"a product with a parameter", 1, func() { s.Mul(w, plain) }},
		{"two operations", 2, func() { s.Sum(s.Mul(w, w)) }},
		{"no parameter", 0, func() { s.Mul(plain, plain) }},
		{"a scope without gradients", 0, func() { quiet.Mul(w, plain) }},
		{"an alias of a leaf", 0, func() { s.Alias(w) }},
		{"a gradient", 2, func() { s.Grad(s.Sum(s.Mul(w, w)), []torch.Tensor{w}, torch.GradOptions{}) }},
	} {
		before := torch.Recorded()
		tt.f()
		if got := torch.Recorded() - before; got != tt.n {
			t.Errorf("%s: %d results are recorded, want %d", tt.what, got, tt.n)
		}
	}
}
