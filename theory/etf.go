package theory

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// etf returns a random simplex equiangular tight frame (Eq. 7) as a head: rows m₁ … m_K of d ≥ K elements.
func etf(r *rand.Rand, classes, d int) *mat.Dense {
	var qr mat.QR
	qr.Factorize(gaussian(r, d, classes, 1))
	var q mat.Dense
	qr.QTo(&q)
	u := q.Slice(0, d, 0, classes)
	k := float64(classes)
	centre := mat.NewDense(classes, classes, nil)
	for i := range classes {
		for j := range classes {
			centre.Set(i, j, -1/k)
		}
		centre.Set(i, i, 1-1/k)
	}
	m := product(centre, u.T())
	m.Scale(math.Sqrt(k/(k-1)), m)
	return m
}

// crossEntropy is the loss of logits z for class y. As log(1 + Σ exp(z_k − z_y)) it keeps its digits when it is small.
func crossEntropy(z mat.Vector, y int) float64 {
	others := 0.0
	for k := range z.Len() {
		if k != y {
			others += math.Exp(z.AtVec(k) - z.AtVec(y))
		}
	}
	return math.Log1p(others)
}

// softmax returns p.
func softmax(z mat.Vector) *mat.VecDense {
	p := mat.NewVecDense(z.Len(), nil)
	top := mat.Max(z)
	for k := range z.Len() {
		p.SetVec(k, math.Exp(z.AtVec(k)-top))
	}
	p.ScaleVec(1/mat.Sum(p), p)
	return p
}

// logitGradient is ∂L/∂z = p − e_y.
func logitGradient(z mat.Vector, y int) *mat.VecDense {
	g := softmax(z)
	g.SetVec(y, g.AtVec(y)-1)
	return g
}

// featureGradient is δx = ∂L(Mx, y)/∂x = Mᵀ(p − e_y), which is Eq. 26 for an ETF.
func featureGradient(m mat.Matrix, x mat.Vector, y int) *mat.VecDense {
	return apply(m.T(), logitGradient(apply(m, x), y))
}

// lossAt is L(Mx, y).
func lossAt(m mat.Matrix, x mat.Vector, y int) float64 {
	return crossEntropy(apply(m, x), y)
}
