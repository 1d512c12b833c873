package theory

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/locus-learn/locus/internal/seed"
)

// rateTally counts problems on which Eq. 3 holds for every θ and ε. Loose is an L₁ up to 100 times the tight one, which
// Assumption 3.2 allows.
type rateTally struct {
	appendix, appendixLoose count
	printed, printedLoose   count // of those where the printed root is real
	notReal                 count
}

func tryRates(root uint64, problems int) (t rateTally) {
	for i := range problems {
		r := seed.Rand(root, "theory/rates", uint64(i))
		q := randomQuadratic(r)
		tight := q.Constants()
		loose := tight
		loose.L1 *= math.Pow(10, 2*r.Float64())
		t.appendix.add(q.holdsBelow(r, tight, tight.Root()))
		t.appendixLoose.add(q.holdsBelow(r, loose, loose.Root()))
		t.notReal.add(math.IsNaN(tight.PrintedRoot()))
		if !math.IsNaN(tight.PrintedRoot()) {
			t.printed.add(q.holdsBelow(r, tight, tight.PrintedRoot()))
		}
		if !math.IsNaN(loose.PrintedRoot()) {
			t.printedLoose.add(q.holdsBelow(r, loose, loose.PrintedRoot()))
		}
	}
	return t
}

// holdsBelow tries the largest η₁ and a random one, each with both ends, the middle and a random point of η₂'s interval.
func (q Quadratic) holdsBelow(r *rand.Rand, c Constants, root float64) bool {
	for _, share := range []float64{1, r.Float64()} {
		eta1 := share * c.MaxEta1(root)
		low, high := c.Eta2(eta1)
		for _, eta2 := range []float64{low, high, 1 / c.L2, low + (high-low)*r.Float64()} {
			if !q.holds(c.Mu, Rates{eta1, eta2}) {
				return false
			}
		}
	}
	return true
}

// tryDescents counts the iterations at which the gap stays below Eq. 4's bound, over 200 iterations for each κ.
func tryDescents(root uint64, problems int) (t count) {
	for i := range problems {
		r := seed.Rand(root, "theory/descents", uint64(i))
		q := randomQuadratic(r)
		c := q.Constants()
		rates := Rates{c.MaxEta1(c.Root()), 1 / c.L2}
		z, s := gaussianVec(r, q.d1+q.d2, 1), gaussianVec(r, q.d1, 1)
		for _, kappa := range kappas {
			for _, p := range q.Descend(z, c.Mu, rates, q.OwnTarget(s, kappa), 200) {
				t.add(p.Gap <= p.Bound*(1+1e-9)+1e-24*c.L*mat.Dot(z, z))
			}
		}
	}
	return t
}

// kappas are layer-wise training, two degrees of reconciliation, and back-propagation.
var kappas = []float64{0, 0.9, 0.99, 1}

// Descent is one iteration of one problem under several κ: the measured gap beside the bound of Eq. 4.
type Descent struct {
	Iteration int     `json:"iteration"`
	Points    []Point `json:"points"` // in the order of Kappas
}

// Kappas lists the shares of reconciliation of a [Descent].
func Kappas() []float64 { return kappas }

// SideBySide runs every κ from one start, on a problem with three parameters a layer and eight residuals.
func SideBySide(root uint64) []Descent {
	r := seed.Rand(root, "theory/side by side")
	q := NewQuadratic(gaussian(r, 8, 3, 1), gaussian(r, 8, 3, 1))
	c := q.Constants()
	z, s := gaussianVec(r, 6, 1), gaussianVec(r, 3, 1)
	at := []int{0, 1, 10, 30, 100, 300, 1000}
	rows := make([]Descent, len(at))
	for _, kappa := range kappas {
		points := q.Descend(z, c.Mu, Rates{c.MaxEta1(c.Root()), 1 / c.L2}, q.OwnTarget(s, kappa), at[len(at)-1])
		for i, n := range at {
			rows[i].Iteration = n
			rows[i].Points = append(rows[i].Points, points[n])
		}
	}
	return rows
}

// Misprint is a problem where the printed root allows a rate that diverges: A = diag(1, 0.1), B = (0, 0.1)ᵀ, and for L₁
// the value 10, ten times the tight one.
func Misprint() (Quadratic, Constants) {
	q := NewQuadratic(mat.NewDense(2, 2, []float64{1, 0, 0, 0.1}), mat.NewDense(2, 1, []float64{0, 0.1}))
	c := q.Constants()
	c.L1 = 10
	return q, c
}

// misprinted runs Misprint without any error ε, at the largest η₁ under the given root.
func misprinted(root func(Constants) float64, iterations int) (eta1 float64, end Point) {
	q, c := Misprint()
	eta1 = c.MaxEta1(root(c))
	ones := mat.NewVecDense(3, []float64{1, 1, 1})
	points := q.Descend(ones, c.Mu, Rates{eta1, 1 / c.L2}, q.OwnTarget(mat.NewVecDense(2, nil), 1), iterations)
	return eta1, points[iterations]
}

func descentClaims(rates rateTally, descents count) []Claim {
	_, end := misprinted(Constants.PrintedRoot, 50)
	appendix := rates.appendix.all() && rates.appendixLoose.all()
	return []Claim{
		{"Theorem A.3, Eq. 3", "gap′ ≤ (1−αμ)·gap + α‖ε‖² for all θ, ε if η₁ ≤ (√(L₁²+8L²) − L₁)/4L²",
			fmt.Sprintf("%v problems; with a larger L₁ %v", rates.appendix, rates.appendixLoose),
			judge(appendix, false)},
		{"Theorem 3.3, η₁", "the same if η₁ ≤ √(L₁²+8L² − L₁)/4L²",
			fmt.Sprintf("%v; with a larger L₁ %v, for example a gap of %.0e above a bound of %.0e; not real in %v",
				rates.printed, rates.printedLoose, end.Gap, end.Bound, rates.notReal),
			judge(rates.printed.all() && rates.printedLoose.all() && rates.notReal.hits == 0, appendix)},
		{"Theorem 3.3, Eq. 4", "gap ≤ (1−αμ)^i·gap₀ + αΣ(1−αμ)^k‖ε‖²",
			fmt.Sprintf("%v iterations, reconciled by 0, 90, 99 and 100 %%", descents), judge(descents.all(), false)},
	}
}
