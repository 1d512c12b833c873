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

// randomBlock draws a block of ReLUs, at He's scale, with an ETF head, and an x at which none of them is near its kink;
// the gradient r that it is handed is as long as its own.
func randomBlock(r *rand.Rand) (b Block, x, prev *mat.VecDense) {
	const n, m, classes = 24, 16, 10
	b = Block{W: gaussian(r, m, n, math.Sqrt(2.0/n)), M: etf(r, classes, m), Class: r.IntN(classes)}
	for x = gaussianVec(r, n, 1); b.nearKink(x); x = gaussianVec(r, n, 1) {
	}
	prev = gaussianVec(r, n, 1)
	prev.ScaleVec(norm(b.run(x).delta)/norm(prev), prev)
	return b, x, prev
}

const nudge = 1e-6 // of a weight, for differences

func (b Block) nearKink(x mat.Vector) bool {
	h := apply(b.W, x)
	for i := range h.Len() {
		if math.Abs(h.AtVec(i)) <= nudge*mat.Norm(x, math.Inf(1)) {
			return true
		}
	}
	return false
}

// difference is ∂S/∂W by central differences.
func (b Block) difference(x, r mat.Vector) *mat.Dense {
	at := func(i, j int, w float64) float64 {
		moved := b
		moved.W = mat.DenseCopyOf(b.W)
		moved.W.Set(i, j, w)
		return moved.Term(x, r)
	}
	var d mat.Dense
	d.Apply(func(i, j int, w float64) float64 { return (at(i, j, w+nudge) - at(i, j, w-nudge)) / (2 * nudge) }, b.W)
	return &d
}

func gradientClaims(t gradientTally) []Claim {
	return []Claim{{"Eq. 35", "∂S/∂W = [∂L/∂y ⊙ σ′](∂L/∂x − r)ᵀ",
		fmt.Sprintf("cosine with differences of S: median %.3f, least %.3f; with the missing term off by ≤ %.0e",
			t.paper[len(t.paper)/2], t.paper[0], t.exact),
		judge(t.paper[0] > 1-1e-6, t.exact < 1e-6)}}
}
