package theory

import (
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// TwoLayer is the model of Proposition 3.5 on one sample: x₁ = θ₁x₀ and x₂ = θ₂x₁ with fixed ETF heads M₁ and M₂.
type TwoLayer struct {
	Theta1, Theta2, M1, M2 *mat.Dense
	X0                     *mat.VecDense
	Class                  int
}

func randomTwoLayer(r *rand.Rand) TwoLayer {
	classes := 2 + r.IntN(9)
	width := func() int { return classes + r.IntN(9) }
	d0, d1, d2 := width(), width(), width()
	return TwoLayer{
		Theta1: gaussian(r, d1, d0, 0.3), Theta2: gaussian(r, d2, d1, 0.3),
		M1: etf(r, classes, d1), M2: etf(r, classes, d2),
		X0: gaussianVec(r, d0, 1), Class: r.IntN(classes),
	}
}

// second is the second layer as a Block, which has its term and both forms of the term's gradient.
func (m TwoLayer) second() Block { return Block{W: m.Theta2, M: m.M2, Linear: true, Class: m.Class} }

func (m TwoLayer) x1() *mat.VecDense { return apply(m.Theta1, m.X0) }
func (m TwoLayer) x2() *mat.VecDense { return apply(m.Theta2, m.x1()) }

// delta1 is δx₁ of L₁ (Eq. 26), delta2 is δx₂ of L₂.
func (m TwoLayer) delta1() *mat.VecDense { return featureGradient(m.M1, m.x1(), m.Class) }
func (m TwoLayer) delta2() *mat.VecDense { return featureGradient(m.M2, m.x2(), m.Class) }

// Term is S = ½‖δx₁ − θ₂ᵀδx₂‖² over ½‖δx₁‖².
func (m TwoLayer) Term() float64 {
	d1 := m.delta1()
	return 2 * m.second().Term(m.x1(), d1) / inner(d1, d1)
}

// approach changes θ₂ by steps of least norm against the term, δx₂ held, until S ≤ share · ½‖δx₁‖². It reports whether
// it got there.
func (m TwoLayer) approach(share float64) bool {
	for range 200 {
		if m.Term() <= share {
			return true
		}
		g := m.second().PaperGradient(m.x1(), m.delta1())
		d2 := m.delta2()
		g.Scale(0.3/inner(d2, d2), g)
		m.Theta2.Sub(m.Theta2, g)
	}
	return false
}

// LargerLogit is the premise of Proposition 3.5: the logit of the label is larger in the second layer.
func (m TwoLayer) LargerLogit() bool {
	return apply(m.M2, m.x2()).AtVec(m.Class) > apply(m.M1, m.x1()).AtVec(m.Class)
}

// Concluded is what Appendix C concludes from the premise: δx₂ᵀx₂ ≤ δx₁ᵀx₁.
func (m TwoLayer) Concluded() bool {
	return mat.Dot(m.delta2(), m.x2()) <= mat.Dot(m.delta1(), m.x1())
}

// Beta is Eq. 31 before Eq. 33 drops what it does: with Eq. 30, x̂₂′ = x₂′ − β·δx₂ for β = η(δx₁ − θ₂ᵀδx₂)ᵀx₁′. By Lemma
// C.2, L̂₂′ < L₂′ exactly if β > 0, whatever η is.
func (m TwoLayer) Beta(eta float64) float64 {
	u := apply(m.Theta2.T(), m.delta2())
	u.SubVec(m.delta1(), u)
	return eta * mat.Dot(u, along(m.x1(), -eta*mat.Dot(m.X0, m.X0), m.delta1()))
}

// After is L₂ in inference after one step of size η on both layers (Eqs. 1, 2), the second along δx₂x₁ᵀ + change. Both
// gradients are those of the features before the step, as in Eqs. 27 to 30.
func (m TwoLayer) After(eta float64, change mat.Matrix) float64 {
	g1 := product(m.delta1(), m.X0.T())
	g2 := product(m.delta2(), m.x1().T())
	if change != nil {
		g2.Add(g2, change)
	}
	g1.Scale(eta, g1)
	g2.Scale(eta, g2)
	x1 := apply(minus(m.Theta1, g1), m.X0)
	return lossAt(m.M2, apply(minus(m.Theta2, g2), x1), m.Class)
}

// PrintedChange is Eq. 30's δx₂(δx₁ − θ₂ᵀδx₂)ᵀ.
func (m TwoLayer) PrintedChange() *mat.Dense {
	return product(m.delta2(), minus(m.delta1(), product(m.Theta2.T(), m.delta2())).T())
}
