package theory

import (
	"testing"

	"github.com/locus-learn/locus/internal/seed"
)

func TestEq35(t *testing.T) {
	tally := tryGradients(1, 50)
	if tally.exact > 1e-6 {
		t.Errorf("with the missing term the gradient is off by %g", tally.exact)
	}
	if median := tally.paper[25]; tally.paper[0] > 0.9 || median > 0.99 {
		t.Errorf("Eq. 35 alone has cosines from %g, median %g", tally.paper[0], median)
	}
}

// Without a ReLU, as in Proposition 3.5.
func TestEq35Linear(t *testing.T) {
	b, x, r := randomBlock(seed.Rand(1, t.Name()))
	b.Linear = true
	if off := apart(b.ExactGradient(x, r), b.difference(x, r)); off > 1e-6 {
		t.Errorf("the gradient is off by %g", off)
	}
}

func TestTable8(t *testing.T) {
	for i, size := range []struct{ m, n, k int }{{16, 24, 10}, {5, 3, 2}, {1, 1, 1}} {
		r := seed.Rand(1, t.Name(), uint64(i))
		b := Block{W: gaussian(r, size.m, size.n, 1), M: gaussian(r, size.k, size.m, 1)}
		x, prev := gaussianVec(r, size.n, 1), gaussianVec(r, size.n, 1)
		paper, missing, got := b.CountFlops(x, prev)
		m, n, k := size.m, size.n, size.k
		want := Table8{A: m, B: (2*m-1)*n + n, AB: m * n,
			// W v, ⊙, M, (diag p − p pᵀ), Mᵀ, ⊙, outer product
			Missing: (2*n-1)*m + m + (2*m-1)*k + (2*k - 1 + 2*k) + (2*k-1)*m + m + m*n}
		if got != want || got.Total() != 3*m*n+m {
			t.Errorf("m = %d, n = %d, K = %d: %+v, want %+v", m, n, k, got, want)
		}
		if d := norm(minus(paper, b.PaperGradient(x, prev))); d > 1e-12 {
			t.Errorf("what was counted is not Eq. 35: off by %g", d)
		}
		if d := norm(minus(missing, b.MissingTerm(x, prev))); d > 1e-12 {
			t.Errorf("what was counted is not the missing term: off by %g", d)
		}
	}
}
