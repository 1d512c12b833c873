package theory

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/locus-learn/locus/internal/seed"
)

func near(a, b, relative float64) bool { return math.Abs(a-b) <= relative*math.Abs(b) }

func TestConstants(t *testing.T) {
	q, c := Misprint()
	c.L1 = q.Constants().L1
	// H has the eigenvalues 1, 0.02 and 0.
	want := Constants{Mu: 0.04, L1: 1, L2: 0.01, L: 1}
	if !near(c.Mu, want.Mu, 1e-12) || !near(c.L1, want.L1, 1e-12) || !near(c.L2, want.L2, 1e-12) || !near(c.L, want.L, 1e-12) {
		t.Errorf("constants %+v, want %+v", c, want)
	}
}

// The paper's PL condition has no ½: ‖∇L₂‖² ≥ μ(L₂ − L₂*).
func TestConstantsHoldEverywhere(t *testing.T) {
	for i := range 200 {
		r := seed.Rand(1, t.Name(), uint64(i))
		q := randomQuadratic(r)
		c, z := q.Constants(), gaussianVec(r, q.d1+q.d2, 1)
		g := apply(q.h, z)
		if inner(g, g) < c.Mu*q.Gap(z)*(1-1e-9) {
			t.Errorf("problem %d: ‖∇‖² = %g, μ·gap = %g", i, inner(g, g), c.Mu*q.Gap(z))
		}
		if norm(g) > c.L*norm(z)*(1+1e-9) || c.L < max(c.L1, c.L2)*(1-1e-12) {
			t.Errorf("problem %d: a Lipschitz constant of %+v is broken", i, c)
		}
	}
}

// One iteration, written out as Eqs. 1 and 2 over A, B and c.
func TestDescendIsEqs1And2(t *testing.T) {
	r := seed.Rand(1, t.Name())
	a, b := gaussian(r, 5, 2, 1), gaussian(r, 5, 3, 1)
	q, rates := NewQuadratic(a, b), Rates{0.03, 0.07}
	z, e := gaussianVec(r, 5, 1), gaussianVec(r, 2, 1)
	z1, z2 := mat.VecDenseCopyOf(z.SliceVec(0, 2)), mat.VecDenseCopyOf(z.SliceVec(2, 5))
	residual := func() *mat.VecDense { return along(apply(a, z1), 1, apply(b, z2)) }
	local := along(apply(a.T(), residual()), -1, e) // ∇₁L₂ − ε
	z1.AddScaledVec(z1, -rates.Eta1, local)
	z2.AddScaledVec(z2, -rates.Eta2, apply(b.T(), residual()))
	end := residual()

	got := q.Descend(z, 0.5, rates, func(mat.Vector) *mat.VecDense { return e }, 1)
	want := Point{inner(end, end) / 2, (1-0.5*0.015)*got[0].Bound + 0.015*inner(e, e)}
	if !near(got[1].Gap, want.Gap, 1e-12) || !near(got[1].Bound, want.Bound, 1e-12) {
		t.Errorf("after one step %+v, want %+v", got[1], want)
	}
}

// ε of a local loss ½‖A(θ₁ − s)‖² is what its definition says.
func TestOwnTarget(t *testing.T) {
	r := seed.Rand(1, t.Name())
	a, b := gaussian(r, 5, 2, 1), gaussian(r, 5, 3, 1)
	z, s := gaussianVec(r, 5, 1), gaussianVec(r, 2, 1)
	global := apply(a.T(), along(apply(a, z.SliceVec(0, 2)), 1, apply(b, z.SliceVec(2, 5))))
	local := apply(a.T(), apply(a, along(z.SliceVec(0, 2), -1, s)))
	want := along(global, -1, local)
	q := NewQuadratic(a, b)
	if got := q.OwnTarget(s, 0)(z); apart(got, want) > 1e-12 {
		t.Errorf("ε = %v, want %v", got, want)
	}
	if got := norm(q.OwnTarget(s, 1)(z)); got != 0 {
		t.Errorf("back-propagation errs by %g", got)
	}
}

func TestTheoremA3(t *testing.T) {
	rates := tryRates(1, 300)
	if !rates.appendix.all() || !rates.appendixLoose.all() {
		t.Errorf("Eq. 3 holds in %v problems, with a larger L₁ in %v", rates.appendix, rates.appendixLoose)
	}
	if descents := tryDescents(1, 50); !descents.all() || descents.of != 50*4*201 {
		t.Errorf("Eq. 4 holds in %v iterations", descents)
	}
}

// The root as printed in Theorem 3.3 allows rates that diverge, without any error in the local gradient.
func TestTheorem33Misprint(t *testing.T) {
	eta1, end := misprinted(Constants.PrintedRoot, 50)
	if eta1 < 2 || end.Gap < 1e10 || end.Bound > 1 {
		t.Errorf("η₁ = %g ends at %+v, want a gap far above the bound", eta1, end)
	}
	if eta1, end = misprinted(Constants.Root, 50); end.Gap > end.Bound {
		t.Errorf("Appendix A's η₁ = %g ends at %+v", eta1, end)
	}
	q, c := Misprint()
	if least, _ := q.Slack(c.Mu, Rates{c.MaxEta1(c.PrintedRoot()), 1 / c.L2}); least >= 0 {
		t.Errorf("the least eigenvalue is %g where the bound fails", least)
	}
	if rates := tryRates(1, 300); rates.printedLoose.all() || rates.printedLoose.hits == 0 {
		t.Errorf("the printed root holds in %v problems with a larger L₁", rates.printedLoose)
	}
}

// Units: where the loss is scaled by s, rates scale by 1/s. The printed root does not, and below some scale is not real.
func TestPrintedRootHasNoUnits(t *testing.T) {
	c, scaled := Constants{L1: 1, L: 1}, Constants{L1: 0.1, L: 0.1}
	if !near(scaled.Root(), 10*c.Root(), 1e-12) {
		t.Errorf("Appendix A: %g, scaled %g", c.Root(), scaled.Root())
	}
	if !math.IsNaN(scaled.PrintedRoot()) || math.IsNaN(c.PrintedRoot()) {
		t.Errorf("as printed: %g, scaled %g", c.PrintedRoot(), scaled.PrintedRoot())
	}
}

// With tight constants 2/μ in the bound on η₁ never decides: μ ≤ 2L, and the root is at most 1/(√2·L).
func TestMuNeverDecides(t *testing.T) {
	for i := range 500 {
		c := randomQuadratic(seed.Rand(1, t.Name(), uint64(i))).Constants()
		if 2/c.Mu < c.Root() {
			t.Errorf("problem %d: 2/μ = %g, root %g", i, 2/c.Mu, c.Root())
		}
	}
}

func TestSideBySide(t *testing.T) {
	rows := SideBySide(1)
	last := rows[len(rows)-1].Points
	for _, row := range rows {
		for k, p := range row.Points {
			if p.Gap > p.Bound {
				t.Errorf("iteration %d, κ = %g: gap %g above the bound %g", row.Iteration, kappas[k], p.Gap, p.Bound)
			}
		}
	}
	for k := 1; k < len(last); k++ {
		if last[k].Gap >= last[k-1].Gap {
			t.Errorf("κ = %g ends at %g, κ = %g at %g: reconciling must lower the floor", kappas[k-1], last[k-1].Gap, kappas[k], last[k].Gap)
		}
	}
}
