package theory

import (
	"fmt"
	"math"

	"github.com/locus-learn/locus/internal/seed"
)

// stackTally is the worst that was seen over stacks of four modules whose S was solved to 0.
type stackTally struct {
	solved, solvedNormalized count
	term, termNormalized     float64 // largest S; raw S relative to ‖δ‖²
	body                     float64 // largest ‖local − global‖/‖global‖ of a body's gradient, raw S = 0
	head                     float64 // least ‖∂L_k/∂W_k‖ over that of the body, raw S = 0; the global one is 0
	bodyNormalized           float64 // least ‖local − global‖/‖global‖ of the first body, normalised S = 0
	cosineNormalized         float64 // least cosine of the two
}

func tryStacks(root uint64, stacks int) stackTally {
	const modules, classes, d, batch = 4, 6, 6, 3
	t := stackTally{head: math.Inf(1), bodyNormalized: math.Inf(1), cosineNormalized: 1}
	for i := range stacks {
		s := newStack(seed.Rand(root, "theory/stack", uint64(i)), modules, classes, d, batch)
		err := s.Reconcile(nil)
		t.solved.add(err == nil)
		if err != nil {
			continue
		}
		for k := 1; k < modules; k++ {
			delta := s.atOutput(k)
			t.term = max(t.term, s.Term(k+1, false)/inner(delta, delta))
			t.body = max(t.body, apart(s.LocalGradient(k), s.GlobalGradient(k)))
			t.head = min(t.head, norm(s.HeadGradient(k))/norm(s.LocalGradient(k)))
		}
	}
	for i := range stacks {
		s := newStack(seed.Rand(root, "theory/stack", uint64(i)), modules, classes, d, batch)
		err := s.Reconcile([]float64{0.5, 1, 2})
		t.solvedNormalized.add(err == nil)
		if err != nil {
			continue
		}
		for k := 2; k <= modules; k++ {
			t.termNormalized = max(t.termNormalized, s.Term(k, true))
		}
		local, global := s.LocalGradient(1), s.GlobalGradient(1)
		t.bodyNormalized = min(t.bodyNormalized, apart(local, global))
		t.cosineNormalized = min(t.cosineNormalized, cosine(local, global))
	}
	return t
}

func stackClaims(t stackTally) []Claim {
	return []Claim{
		{"Proposition 3.4", "raw S = 0 ⇒ ∇L_k = ∇L_L for the bodies",
			fmt.Sprintf("S/‖δ‖² ≤ %.0e in %d solved stacks; bodies' gradients apart by ≤ %.0e", t.term, t.solved.hits, t.body),
			judge(t.solved.hits > 0 && t.body < 1e-9, false)},
		{"Proposition 3.4, heads", "the same for θ_k with its head",
			fmt.Sprintf("L_L does not reach the head; its local gradient is ≥ %.2f of the body's", t.head),
			judge(t.head < 1e-9, false)},
		{"Proposition 3.4, normalised", "the same for Algorithm 1's normalised S = 0",
			fmt.Sprintf("S ≤ %.0e in %d solved stacks; gradients apart by ≥ %.2f, cosine down to %.2f",
				t.termNormalized, t.solvedNormalized.hits, t.bodyNormalized, t.cosineNormalized),
			judge(t.bodyNormalized < 1e-9, false)},
	}
}
