package theory

import (
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/locus-learn/locus/internal/seed"
)

// loss is L_k of a stack whose bodies may have changed.
func (s *Stack) loss(k int) (mean float64) {
	fresh := *s
	fresh.x = s.x[:1:1]
	for j := range s.bodies {
		fresh.x = append(fresh.x, tanh(product(s.bodies[j], fresh.x[j])))
	}
	for i, y := range s.labels {
		mean += lossAt(s.heads[k-1], fresh.x[k].ColView(i), y) / float64(len(s.labels))
	}
	return mean
}

// differences is ∂L_of/∂V by central differences.
func (s *Stack) differences(of int, v *mat.Dense) *mat.Dense {
	const step = 1e-5
	var d mat.Dense
	d.Apply(func(i, j int, w float64) float64 {
		v.Set(i, j, w+step)
		up := s.loss(of)
		v.Set(i, j, w-step)
		down := s.loss(of)
		v.Set(i, j, w)
		return (up - down) / (2 * step)
	}, mat.DenseCopyOf(v))
	return &d
}

func TestStackGradients(t *testing.T) {
	s := newStack(seed.Rand(1, t.Name()), 3, 4, 5, 3)
	for k := 1; k <= 3; k++ {
		if off := apart(s.LocalGradient(k), s.differences(k, s.bodies[k-1])); off > 1e-7 {
			t.Errorf("∂L_%d/∂V_%d is off by %g", k, k, off)
		}
		if off := apart(s.GlobalGradient(k), s.differences(3, s.bodies[k-1])); off > 1e-7 {
			t.Errorf("∂L_3/∂V_%d is off by %g", k, off)
		}
		if off := apart(s.HeadGradient(k), s.differences(k, s.heads[k-1])); off > 1e-7 {
			t.Errorf("∂L_%d/∂W_%d is off by %g", k, k, off)
		}
	}
	if g := norm(s.differences(3, s.heads[0])); g != 0 {
		t.Errorf("∂L_3/∂W_1 is %g", g)
	}
}

func TestProposition34(t *testing.T) {
	tally := tryStacks(1, 20)
	if tally.solved.hits < 15 || tally.term > 1e-24 {
		t.Fatalf("%v stacks solved, S ≤ %g", tally.solved, tally.term)
	}
	if tally.body > 1e-11 {
		t.Errorf("raw S = 0, and bodies' gradients are apart by %g", tally.body)
	}
	if tally.head < 1e-3 {
		t.Errorf("a head's local gradient is only %g of its body's", tally.head)
	}
	if tally.solvedNormalized.hits < 10 || tally.termNormalized > 1e-20 {
		t.Fatalf("%v stacks solved, normalised S ≤ %g", tally.solvedNormalized, tally.termNormalized)
	}
	if tally.bodyNormalized < 0.01 || tally.cosineNormalized > 0.9 {
		t.Errorf("normalised S = 0, and gradients are apart by %g only, with a cosine of %g", tally.bodyNormalized, tally.cosineNormalized)
	}
}
