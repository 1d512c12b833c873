package theory

import (
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/locus-learn/locus/internal/seed"
)

func TestETF(t *testing.T) {
	for _, k := range []int{2, 3, 10} {
		m := etf(seed.Rand(1, t.Name(), uint64(k)), k, k+3)
		gram := product(m, m.T())
		for i := range k {
			for j := range k {
				want := 1.0
				if i != j {
					want = -1 / float64(k-1)
				}
				if d := gram.At(i, j) - want; d > 1e-12 || d < -1e-12 {
					t.Errorf("K = %d: m%dᵀm%d = %g, want %g", k, i, j, gram.At(i, j), want)
				}
			}
		}
	}
}

func TestLemmaC2(t *testing.T) {
	tally := tryLemma(1, 1000)
	if !tally.own.all() || !tally.other.all() || tally.logits > 1e-10 {
		t.Errorf("the loss falls in %v trials, along another δx in %v; logits are off by %g", tally.own, tally.other, tally.logits)
	}
}

// Eq. 30 ascends on S, so with descent in its place the conclusion of Proposition 3.5 turns round, trial by trial.
func TestProposition35(t *testing.T) {
	for _, share := range []float64{anyTerm, 0.01} {
		tally := tryTwoLayer(1, 400, share, 1e-3)
		if tally.premise.hits < 100 || tally.cosine > -1+1e-9 {
			t.Fatalf("the premise holds in %v; cosine of Eq. 30 with descent %g", tally.premise, tally.cosine)
		}
		if !tally.reversed.all() || !tally.bySign.all() {
			t.Errorf("reversed in %v, by the sign of β in %v", tally.reversed, tally.bySign)
		}
		if tally.concluded.all() || tally.printed.all() || tally.descent.hits > tally.descent.of/2 {
			t.Errorf("premise ⇒ δx₂ᵀx₂ ≤ δx₁ᵀx₁ in %v, L₂′ falls in %v as printed, in %v by descent", tally.concluded, tally.printed, tally.descent)
		}
	}
}

// With the conclusion assumed in place of the premise, and in the limit of small steps, only the sign decides.
func TestProposition35InTheLimit(t *testing.T) {
	tally := tryTwoLayer(1, 400, anyTerm, 1e-6)
	if !tally.printedAmong.all() || tally.descentAmong.hits != 0 || tally.descentAmong.of < 100 {
		t.Errorf("L₂′ falls in %v as printed, in %v by descent", tally.printedAmong, tally.descentAmong)
	}
}

// descendsOn reports whether a small step along −change lowers S.
func (m TwoLayer) descendsOn(change *mat.Dense) bool {
	before := m.Term()
	var theta mat.Dense
	theta.Scale(-1e-4, change)
	theta.Add(&theta, m.Theta2)
	m.Theta2 = &theta
	return m.Term() < before
}

// What Proposition 3.5 calls a step with SGR is a step away from it, where δx₂ is held. The exact gradient descends always.
func TestExactGradientDescends(t *testing.T) {
	var exact, printed count
	for i := range 300 {
		m := randomTwoLayer(seed.Rand(1, t.Name(), uint64(i)))
		exact.add(m.descendsOn(m.second().ExactGradient(m.x1(), m.delta1())))
		printed.add(m.descendsOn(m.PrintedChange()))
	}
	if !exact.all() || printed.hits > printed.of/2 {
		t.Errorf("S falls along ∂S/∂θ₂ in %v, along Eq. 30 in %v", exact, printed)
	}
}

// Two classes in one dimension, where M = (1, −1)ᵀ: logits ±0.64 in the first layer and ±3 in the second. The premise
// holds, but a confident layer has a small δx: δx₁ᵀx₁ = −0.278, δx₂ᵀx₂ = −0.015, and Eq. 30 raises the loss.
func TestProposition35Counterexample(t *testing.T) {
	scalar := func(v float64) *mat.Dense { return mat.NewDense(1, 1, []float64{v}) }
	frame := mat.NewDense(2, 1, []float64{1, -1})
	m := TwoLayer{Theta1: scalar(0.64), Theta2: scalar(3 / 0.64), M1: frame, M2: frame, X0: mat.NewVecDense(1, []float64{1})}
	if !m.LargerLogit() || m.Concluded() {
		t.Errorf("premise %v, conclusion %v", m.LargerLogit(), m.Concluded())
	}
	for _, eta := range []float64{1e-3, 1e-2, 1e-1} {
		if with, without := m.After(eta, m.PrintedChange()), m.After(eta, nil); with <= without {
			t.Errorf("η = %g: %g with Eq. 30, %g without", eta, with, without)
		}
	}
}
