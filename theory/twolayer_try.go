package theory

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/locus-learn/locus/internal/seed"
)

// twoLayerTally counts trials of Proposition 3.5. Those after premise are of the trials that meet the premise.
type twoLayerTally struct {
	small, premise             count   // S is as small as asked; the label's logit is larger in the second layer
	concluded                  count   // δx₂ᵀx₂ ≤ δx₁ᵀx₁
	printed, descent, exact    count   // the term lowers L₂′: Eq. 30 as printed, descent along Eq. 35, along ∂S/∂θ₂
	printedAmong, descentAmong count   // of those, of the trials with δx₂ᵀx₂ ≤ δx₁ᵀx₁
	reversed                   count   // exactly one of printed and descent lowers it
	bySign                     count   // printed lowers it exactly if β ≥ 0
	cosine                     float64 // largest one of the two
}

// anyTerm is no bound on S.
var anyTerm = math.Inf(1)

// tryTwoLayer takes steps of size eta in random models with S ≤ share · ½‖δx₁‖².
func tryTwoLayer(root uint64, trials int, share, eta float64) twoLayerTally {
	t := twoLayerTally{cosine: -1}
	for i := range trials {
		m := randomTwoLayer(seed.Rand(root, "theory/two layers", uint64(i)))
		small := m.approach(share)
		t.small.add(small)
		if !small {
			continue
		}
		t.premise.add(m.LargerLogit())
		if m.LargerLogit() {
			t.step(m, eta)
		}
	}
	return t
}

func (t *twoLayerTally) step(m TwoLayer, eta float64) {
	x1, r := m.x1(), m.delta1()
	up, down := m.PrintedChange(), m.second().PaperGradient(x1, r)
	t.cosine = max(t.cosine, cosine(up, down))
	without := m.After(eta, nil)
	lowers := func(change mat.Matrix) bool { return m.After(eta, change) <= without }
	printed, descent := lowers(up), lowers(down)
	t.printed.add(printed)
	t.descent.add(descent)
	t.exact.add(lowers(m.second().ExactGradient(x1, r)))
	t.reversed.add(printed != descent)
	t.bySign.add(printed == (m.Beta(eta) >= 0))
	t.concluded.add(m.Concluded())
	if m.Concluded() {
		t.printedAmong.add(printed)
		t.descentAmong.add(descent)
	}
}

func twoLayerClaims(root uint64, trials int) []Claim {
	const share = 0.01
	free, small := tryTwoLayer(root, trials, anyTerm, 1e-3), tryTwoLayer(root, trials, share, 1e-3)
	long := tryTwoLayer(root, trials, share, 0.1)
	both := func(of func(twoLayerTally) count) string {
		return fmt.Sprintf("any S: %v; S ≤ 1 %%: %v", of(free), of(small))
	}
	return []Claim{
		{"Eq. 30", "a step of descent on S",
			fmt.Sprintf("cosine with Eq. 35's descent: −1 to %.0e; the other sign descends", math.Abs(1+small.cosine)),
			judge(small.cosine > 0, small.cosine < -0.999)},
		{"Proposition 3.5, premise", "larger logit ⇒ δx₂ᵀx₂ ≤ δx₁ᵀx₁",
			both(func(t twoLayerTally) count { return t.concluded }),
			judge(free.concluded.all() && small.concluded.all(), false)},
		{"Proposition 3.5, Eq. 33", "S small ⇒ L₂ falls by Eq. 30 if δx₂ᵀx₂ ≤ δx₁ᵀx₁",
			fmt.Sprintf("η = 0.001: %v; η = 0.1: %v; by the sign of Eq. 31's β: %v", small.printedAmong, long.printedAmong, long.bySign),
			judge(small.printedAmong.all() && long.printedAmong.all(), free.bySign.all() && small.bySign.all() && long.bySign.all())},
		{"Proposition 3.5, Eq. 30 as printed", "premise ⇒ L̂₂′ ≤ L₂′",
			both(func(t twoLayerTally) count { return t.printed }), judge(free.printed.all() && small.printed.all(), false)},
		{"Proposition 3.5, descent along Eq. 35", "premise ⇒ L̂₂′ ≤ L₂′",
			both(func(t twoLayerTally) count { return t.descent }), judge(free.descent.all() && small.descent.all(), false)},
		{"Proposition 3.5, descent along ∂S/∂θ₂", "premise ⇒ L̂₂′ ≤ L₂′",
			both(func(t twoLayerTally) count { return t.exact }), judge(free.exact.all() && small.exact.all(), false)},
	}
}
