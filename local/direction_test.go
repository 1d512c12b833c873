package local

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/locus-learn/locus/torch"
)

const samples, width = 5, 12

// terms are all ways to measure S.
func terms() []*Reconcile {
	var all []*Reconcile
	for _, normalize := range []bool{true, false} {
		for _, reduction := range []Reduction{Mean, Batch, Sum} {
			all = append(all, &Reconcile{Lambda: 0.7, Normalize: normalize, Reduction: reduction})
		}
	}
	return all
}

func (t *Reconcile) name() string { return fmt.Sprintf("%s normalize=%v", t.Reduction, t.Normalize) }

// gradients returns δ and r of five samples. The fourth r is zero, and the fifth pair is parallel.
func gradients(s *torch.Scope) (delta, r []float64) {
	a, b := s.Full(torch.Float64, 0, samples, width), s.Full(torch.Float64, 0, samples, width)
	a.Normal(0, 0.3, 1)
	b.Normal(0, 0.2, 2)
	delta, r = a.Float64s(), b.Float64s()
	for j := range width {
		r[3*width+j] = 0
		r[4*width+j] = 3 * delta[4*width+j]
	}
	return delta, r
}

func tensor(s *torch.Scope, v []float64) torch.Tensor { return s.FromDoubles(v, samples, 3, 2, 2) }

func (t *Reconcile) measure(s *torch.Scope, delta, r []float64) pair {
	return t.compare(s, tensor(s, delta), tensor(s, r))
}

// vector returns v in full.
func (v direction) vector(delta, r []float64) []float64 {
	p, q, out := v.p.Float64s(), v.q.Float64s(), make([]float64, len(delta))
	for i := range out {
		out[i] = p[i/width]*delta[i] + q[i/width]*r[i]
	}
	return out
}

// sgr returns S of a pair.
func (p pair) sgr() float64 { return p.agreement(p.Scope).SGR.Wait() }

func norm(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}

// differences is ∂(λS)/∂δ by central differences.
func (t *Reconcile) differences(s *torch.Scope, delta, r []float64, h float64) []float64 {
	out := make([]float64, len(delta))
	for i := range out {
		ahead, back := slices.Clone(delta), slices.Clone(delta)
		ahead[i] += h
		back[i] -= h
		rise := t.measure(s, ahead, r).sgr() - t.measure(s, back, r).sgr()
		out[i] = t.Lambda * rise / (2 * h)
	}
	return out
}

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol*max(1, math.Abs(want))) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func nearVector(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	diff := make([]float64, len(got))
	for i := range diff {
		diff[i] = got[i] - want[i]
	}
	e := norm(diff) / norm(want)
	if !(e <= tol) {
		t.Errorf("%s: relative error %.1e", what, e)
	}
	t.Logf("%s: relative error %.1e", what, e)
}

func TestDirectionIsTheGradientOfS(t *testing.T) {
	for _, term := range terms() {
		t.Run(term.name(), func(t *testing.T) {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			delta, r := gradients(s)
			v := term.measure(s, delta, r).direction(term)
			full := v.vector(delta, r)
			nearVector(t, "v against central differences", full, term.differences(s, delta, r, 1e-6), 1e-8)
			near(t, "‖v‖", v.norm.Item(), norm(full), 1e-13)
		})
	}
}

// The samples beside one without gradient keep their directions, and the step its size.
func TestSampleWithoutGradientHasNoDirection(t *testing.T) {
	for _, term := range terms()[:3] {
		t.Run(term.name(), func(t *testing.T) {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			delta, r := gradients(s)
			want := term.measure(s, delta, r).direction(term).vector(delta, r)
			clear(delta[:width])
			clear(want[:width])
			v := term.measure(s, delta, r).direction(term)
			nearVector(t, "v", v.vector(delta, r), want, 1e-15)
			near(t, "‖v‖", v.norm.Item(), norm(want), 1e-13)
		})
	}
}

// The recorded S of the double backward is the same function, with the same derivative.
func TestRecordedTermIsS(t *testing.T) {
	for _, term := range terms() {
		t.Run(term.name(), func(t *testing.T) {
			s := torch.NewScope(torch.Grad)
			defer s.Close()
			delta, r := gradients(s)
			p := term.measure(s, delta, r)
			x := tensor(s, delta).SetRequiresGrad(true)
			loss := term.loss(s, x, tensor(s, r))
			near(t, "λS", loss.Item(), term.Lambda*p.sgr(), 1e-13)
			got := s.Grad(loss, []torch.Tensor{x}, torch.GradOptions{})[0].Float64s()
			nearVector(t, "its derivative against v", got, p.direction(term).vector(delta, r), 1e-13)
		})
	}
}

// S and the cosine from their definitions, one element after the other.
func naive(t *Reconcile, delta, r []float64) (s, cos float64) {
	for i := range samples {
		a, b := delta[i*width:(i+1)*width], r[i*width:(i+1)*width]
		na, nb := max(norm(a), floor), max(norm(b), floor)
		var dot float64
		for j := range width {
			dot += a[j] * b[j] / (na * nb)
			d := a[j] - b[j]
			if t.Normalize {
				d = a[j]/na - b[j]/nb
			}
			s += d * d
		}
		cos += dot / samples
	}
	switch t.Reduction {
	case Mean:
		s /= samples * width
	case Batch:
		s /= samples
	}
	return s, cos
}

func TestAgreementAgainstDefinition(t *testing.T) {
	for _, term := range terms() {
		t.Run(term.name(), func(t *testing.T) {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			delta, r := gradients(s)
			clear(delta[:width]) // no gradient on either side
			got := term.measure(s, delta, r).agreement(s)
			wantS, wantCos := naive(term, delta, r)
			near(t, "S", got.SGR.Wait(), wantS, 1e-13)
			near(t, "cosine", got.Cos.Wait(), wantCos, 1e-13)
		})
	}
}
