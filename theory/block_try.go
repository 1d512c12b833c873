package theory

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/locus-learn/locus/internal/seed"
)

// gradientTally holds cosines with central differences of S, sorted, and the largest relative error of the exact form.
type gradientTally struct {
	paper []float64
	exact float64
}

func tryGradients(root uint64, trials int) (t gradientTally) {
	for i := range trials {
		r := seed.Rand(root, "theory/blocks", uint64(i))
		b, x, prev := randomBlock(r)
		want := b.difference(x, prev)
		t.paper = append(t.paper, cosine(b.PaperGradient(x, prev), want))
		t.exact = max(t.exact, apart(b.ExactGradient(x, prev), want))
	}
	slices.Sort(t.paper)
	return t
}

// randomBlock draws a block of ReLUs, at He's scale, with an ETF head; the gradient r that it is handed is as long as
// its own.
func randomBlock(r *rand.Rand) (b Block, x, prev *mat.VecDense) {
	const n, m, classes = 24, 16, 10
	b = Block{W: gaussian(r, m, n, math.Sqrt(2.0/n)), M: etf(r, classes, m), Class: r.IntN(classes)}
	x, prev = gaussianVec(r, n, 1), gaussianVec(r, n, 1)
	prev.ScaleVec(norm(b.run(x).delta)/norm(prev), prev)
	return b, x, prev
}

// difference is ∂S/∂W by central differences. Steps are far too small to open or close a ReLU that is not at its kink.
func (b Block) difference(x, r mat.Vector) *mat.Dense {
	const step = 1e-6
	at := func(i, j int, w float64) float64 {
		moved := b
		moved.W = mat.DenseCopyOf(b.W)
		moved.W.Set(i, j, w)
		return moved.Term(x, r)
	}
	var d mat.Dense
	d.Apply(func(i, j int, w float64) float64 { return (at(i, j, w+step) - at(i, j, w-step)) / (2 * step) }, b.W)
	return &d
}

func gradientClaims(t gradientTally) []Claim {
	return []Claim{{"Eq. 35", "∂S/∂W = [∂L/∂y ⊙ σ′](∂L/∂x − r)ᵀ",
		fmt.Sprintf("cosine with differences of S: median %.3f, least %.3f; with the missing term off by ≤ %.0e",
			t.paper[len(t.paper)/2], t.paper[0], t.exact),
		judge(t.paper[0] > 1-1e-6, t.exact < 1e-6)}}
}
