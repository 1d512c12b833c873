package theory

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/locus-learn/locus/internal/seed"
)

// lemmaTally counts trials of Lemma C.2.
type lemmaTally struct {
	own, other count   // the loss falls along −δx with p of x itself, or of another feature
	logits     float64 // largest deviation of the logits from Eqs. 23 and 24, relative to the largest change
}

func tryLemma(root uint64, trials int) (t lemmaTally) {
	for i := range trials {
		r := seed.Rand(root, "theory/lemma", uint64(i))
		classes := 2 + r.IntN(19)
		d := classes + r.IntN(10)
		m, y := etf(r, classes, d), r.IntN(classes)
		x, other := gaussianVec(r, d, 2), gaussianVec(r, d, 2)
		eta := math.Pow(10, 4*r.Float64()-2)
		before := lossAt(m, x, y)
		t.own.add(lossAt(m, along(x, -eta, featureGradient(m, x, y)), y) < before)
		t.other.add(lossAt(m, along(x, -eta, featureGradient(m, other, y)), y) < before)
		t.logits = max(t.logits, logitError(m, x, y))
	}
	return t
}

// along is x + step·d.
func along(x mat.Vector, step float64, d mat.Vector) *mat.VecDense {
	var to mat.VecDense
	to.AddScaledVec(x, step, d)
	return &to
}

// logitError compares M(x − δx) − Mx with Eqs. 23 and 24: K/(K−1)·(1 − p_y) for the label, −K/(K−1)·p_k for the others.
func logitError(m *mat.Dense, x mat.Vector, y int) float64 {
	k := float64(m.RawMatrix().Rows)
	change := apply(m, featureGradient(m, x, y))
	want := logitGradient(apply(m, x), y)
	want.ScaleVec(k/(k-1), want)
	return apart(change, want)
}

func lemmaClaims(t lemmaTally) []Claim {
	return []Claim{
		{"Lemma C.2", "L(M(x − η·δx), y) < L(Mx, y) for every η > 0",
			fmt.Sprintf("%v trials, η from 0.01 to 100; Eqs. 23 and 24 to %.0e", t.own, t.logits),
			judge(t.own.all() && t.logits < 1e-9, false)},
		{"Lemma C.2, δx of another feature", "the same, as Eq. 34 uses it",
			fmt.Sprintf("%v trials", t.other), judge(t.other.all(), false)},
	}
}
