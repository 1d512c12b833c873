package theory

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Constants are μ, L₁, L₂ and L of Assumptions 3.1 and 3.2. A smaller Mu and larger L1, L2, L satisfy them too.
type Constants struct{ Mu, L1, L2, L float64 }

// Root is the first bound on η₁ in Appendix A, the solution of the second line of Eq. 16.
func (c Constants) Root() float64 {
	return (math.Sqrt(c.L1*c.L1+8*c.L*c.L) - c.L1) / (4 * c.L * c.L)
}

// PrintedRoot is the first bound on η₁ in Theorem 3.3, with −L₁ under the root. It is NaN where L₁ > L₁² + 8L².
func (c Constants) PrintedRoot() float64 {
	return math.Sqrt(c.L1*c.L1+8*c.L*c.L-c.L1) / (4 * c.L * c.L)
}

// MaxEta1 is the largest η₁ that the theorem allows, given one of the roots.
func (c Constants) MaxEta1(root float64) float64 { return min(root, 2/c.Mu, 1/(2*c.L2)) }

// Eta2 returns the ends of the interval for η₂.
func (c Constants) Eta2(eta1 float64) (low, high float64) {
	root := math.Sqrt(max(0, 1-2*c.L2*eta1))
	return (1 - root) / c.L2, (1 + root) / c.L2
}

// Rates are the learning rates of Eqs. 1 and 2.
type Rates struct{ Eta1, Eta2 float64 }

// Quadratic is the loss of the second layer, L₂(θ₁, θ₂) = ½‖Aθ₁ + Bθ₂ − c‖². Its constants hold everywhere, and its
// gap L₂ − L₂* is ½ zᵀHz, with H = [A B]ᵀ[A B] and z = θ − θ* counted from a minimiser, whatever c is.
type Quadratic struct {
	d1, d2 int        // dimensions of θ₁ and θ₂
	ab     *mat.Dense // [A B]
	h      *mat.SymDense
}

// NewQuadratic takes A [n, d₁] and B [n, d₂].
func NewQuadratic(a, b mat.Matrix) Quadratic {
	var ab mat.Dense
	ab.Augment(a, b)
	_, d1 := a.Dims()
	_, d2 := b.Dims()
	q := Quadratic{d1, d2, &ab, mat.NewSymDense(d1+d2, nil)}
	q.h.SymOuterK(1, ab.T())
	return q
}

// randomQuadratic draws A and B with scales apart by up to two orders of magnitude.
func randomQuadratic(r *rand.Rand) Quadratic {
	rows := 1 + r.IntN(8)
	scale := func() float64 { return math.Pow(10, 2*r.Float64()-1) }
	return NewQuadratic(gaussian(r, rows, 1+r.IntN(4), scale()), gaussian(r, rows, 1+r.IntN(4), scale()))
}

// rows returns the rows of H that belong to θ₁, or to θ₂: ∇₁L₂ = H₁z and ∇₂L₂ = H₂z.
func (q Quadratic) rows(layer int) mat.Matrix {
	h := mat.DenseCopyOf(q.h)
	if layer == 1 {
		return h.Slice(0, q.d1, 0, q.d1+q.d2)
	}
	return h.Slice(q.d1, q.d1+q.d2, 0, q.d1+q.d2)
}

// Constants are tight. The PL condition of the paper has no ½: μ is twice the least eigenvalue of H that is not 0.
func (q Quadratic) Constants() Constants {
	c := Constants{
		L1: slices.Max(eigenvalues(q.h.SliceSym(0, q.d1))),
		L2: slices.Max(eigenvalues(q.h.SliceSym(q.d1, q.d1+q.d2))),
	}
	all := eigenvalues(q.h)
	c.L = slices.Max(all)
	for _, e := range all {
		if c.Mu == 0 && e > 1e-13*c.L { // what is less is a 0, rounded
			c.Mu = 2 * e
		}
	}
	return c
}

// Gap is L₂ − L₂*, as ½‖[A B]z‖²: zᵀHz would be all rounding where z is almost in the kernel of H.
func (q Quadratic) Gap(z mat.Vector) float64 {
	residual := apply(q.ab, z)
	return inner(residual, residual) / 2
}

// stepMatrix is the step of Eqs. 1 and 2 as a linear map of (z, ε), where θ₁ follows ∇₁L₂ − ε.
func (q Quadratic) stepMatrix(r Rates) *mat.Dense {
	d := q.d1 + q.d2
	t := mat.NewDense(d, d+q.d1, nil)
	for i := range d {
		t.Set(i, i, 1)
	}
	for layer, eta := range []float64{r.Eta1, r.Eta2} {
		from, to := layer*q.d1, q.d1+layer*q.d2
		var g mat.Dense
		g.Mul(q.rows(layer+1), t) // of the place that the first layer's step has led to
		g.Scale(eta, &g)
		own := t.Slice(from, to, 0, d+q.d1).(*mat.Dense)
		own.Sub(own, &g)
	}
	// The first layer's error is added last; the second layer sees it through H₂₁.
	for j := range q.d1 {
		t.Set(j, d+j, r.Eta1)
		for i := q.d1; i < d; i++ {
			t.Set(i, d+j, -r.Eta2*r.Eta1*q.h.At(i, j))
		}
	}
	return t
}

// Slack returns the least and the largest eigenvalue of the quadratic form of (z, ε)
//
//	(1 − αμ)(L₂ − L₂*) + α‖ε‖² − (L₂′ − L₂*),   α = η₁/2.
//
// Eq. 3 holds for every θ and every ε exactly if none is negative.
func (q Quadratic) Slack(mu float64, r Rates) (least, largest float64) {
	d, alpha := q.d1+q.d2, r.Eta1/2
	t := q.stepMatrix(r)
	var th, after mat.Dense
	th.Mul(t.T(), q.h)
	after.Mul(&th, t)
	s := mat.NewSymDense(d+q.d1, nil)
	for i := range d + q.d1 {
		for j := i; j < d+q.d1; j++ {
			before := 0.0
			switch {
			case j < d:
				before = (1 - alpha*mu) * q.h.At(i, j) / 2
			case i == j:
				before = alpha
			}
			s.SetSym(i, j, before-(after.At(i, j)+after.At(j, i))/4)
		}
	}
	all := eigenvalues(s)
	return all[0], all[len(all)-1]
}

// holds reports whether Eq. 3 holds everywhere, up to rounding.
func (q Quadratic) holds(mu float64, r Rates) bool {
	least, largest := q.Slack(mu, r)
	return least >= -1e-10*math.Abs(largest)
}

// Point is one iteration of a descent: the measured gap, and the right side of Eq. 4.
type Point struct {
	Gap   float64 `json:"gap"`
	Bound float64 `json:"bound"`
}

// Descend runs Eqs. 1 and 2 from z, with local gradients of the first layer that err by ε(z), and returns n+1 points.
func (q Quadratic) Descend(z *mat.VecDense, mu float64, r Rates, epsilon func(z mat.Vector) *mat.VecDense, n int) []Point {
	t, d, alpha := q.stepMatrix(r), q.d1+q.d2, r.Eta1/2
	state := mat.NewVecDense(d+q.d1, nil)
	state.SliceVec(0, d).(*mat.VecDense).CopyVec(z)
	points := []Point{{q.Gap(z), q.Gap(z)}}
	for range n {
		now := state.SliceVec(0, d).(*mat.VecDense)
		e := epsilon(now)
		state.SliceVec(d, d+q.d1).(*mat.VecDense).CopyVec(e)
		var next mat.VecDense
		next.MulVec(t, state)
		now.CopyVec(&next)
		bound := (1-alpha*mu)*points[len(points)-1].Bound + alpha*mat.Dot(e, e)
		points = append(points, Point{q.Gap(now), bound})
	}
	return points
}

// OwnTarget is the error ε of a first layer with a local loss of its own, L₁ = ½‖A(θ₁ − θ₁* − s)‖², whose gradient has
// been reconciled: a share κ of the way to ∇₁L₂. κ = 0 is layer-wise training, κ = 1 back-propagation.
func (q Quadratic) OwnTarget(s *mat.VecDense, kappa float64) func(z mat.Vector) *mat.VecDense {
	h1 := q.rows(1)
	return func(z mat.Vector) *mat.VecDense {
		local := mat.NewVecDense(q.d1+q.d2, nil) // ε = H₁z − H₁₁(z₁ − s) = H₁(s, z₂)
		local.CopyVec(z)
		local.SliceVec(0, q.d1).(*mat.VecDense).CopyVec(s)
		e := mat.NewVecDense(q.d1, nil)
		e.MulVec(h1, local)
		e.ScaleVec(1-kappa, e)
		return e
	}
}
