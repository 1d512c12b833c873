package theory

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// gaussian draws a matrix with entries from N(0, scale²).
func gaussian(r *rand.Rand, rows, cols int, scale float64) *mat.Dense {
	m := mat.NewDense(rows, cols, nil)
	m.Apply(func(_, _ int, _ float64) float64 { return scale * r.NormFloat64() }, m)
	return m
}

func gaussianVec(r *rand.Rand, n int, scale float64) *mat.VecDense {
	return mat.NewVecDense(n, gaussian(r, n, 1, scale).RawMatrix().Data)
}

// eigenvalues are in ascending order.
func eigenvalues(s mat.Symmetric) []float64 {
	var e mat.EigenSym
	if !e.Factorize(s, false) {
		panic("theory: a symmetric matrix without eigenvalues: it has NaN or Inf")
	}
	return e.Values(nil)
}

// product is a·b, with transposes by .T().
func product(a, b mat.Matrix) *mat.Dense {
	var c mat.Dense
	c.Mul(a, b)
	return &c
}

// apply is m·x.
func apply(m mat.Matrix, x mat.Vector) *mat.VecDense {
	var y mat.VecDense
	y.MulVec(m, x)
	return &y
}

// minus is a − b.
func minus(a, b mat.Matrix) *mat.Dense {
	var c mat.Dense
	c.Sub(a, b)
	return &c
}

// timesElem is a ⊙ b.
func timesElem(a, b mat.Matrix) *mat.Dense {
	var c mat.Dense
	c.MulElem(a, b)
	return &c
}

// inner is ⟨a, b⟩, summed over all entries.
func inner(a, b mat.Matrix) float64 { return mat.Sum(timesElem(a, b)) }

func norm(a mat.Matrix) float64 { return math.Sqrt(inner(a, a)) }

func cosine(a, b mat.Matrix) float64 { return inner(a, b) / (norm(a) * norm(b)) }

// apart is ‖a − b‖/‖b‖.
func apart(a, b mat.Matrix) float64 { return norm(minus(a, b)) / norm(b) }
