// Package theory tries the paper's theorem, propositions, lemma and formulas in numbers: on problems whose constants are
// known, in random models, and against finite differences. All but the cost of networks is plain Go in float64.
//
// Equations, appendices and tables are those of Yang et al., "Towards Interpretable Deep Local Learning with Successive
// Gradient Reconciliation", ICML 2024. docs/theory.md explains what is found.
package theory

import "fmt"

// Verdict is what the numbers say about a claim.
type Verdict string

// Verdicts.
const (
	Holds     Verdict = "holds"
	Corrected Verdict = "holds with the correction"
	Fails     Verdict = "does not hold as printed"
)

// judge decides by the claim as printed first, and by its corrected form where there is one.
func judge(printed, corrected bool) Verdict {
	switch {
	case printed:
		return Holds
	case corrected:
		return Corrected
	}
	return Fails
}

// Claim is a statement of the paper beside what was measured.
type Claim struct {
	Name     string  `json:"claim"`
	Claimed  string  `json:"claimed"`
	Measured string  `json:"measured"`
	Verdict  Verdict `json:"verdict"`
}

// Report is everything that [Verify] measures.
type Report struct {
	Claims   []Claim      `json:"claims"`
	Descents []Descent    `json:"descents"`
	Costs    []ModuleCost `json:"multiply_adds"`
}

// Verify tries every claim on problems drawn from seed. It takes seconds.
func Verify(seed uint64) (Report, error) {
	costs, err := Costs()
	if err != nil {
		return Report{}, err
	}
	report := Report{Descents: SideBySide(seed), Costs: costs}
	for _, claims := range [][]Claim{
		descentClaims(tryRates(seed, 2000), tryDescents(seed, 200)),
		stackClaims(tryStacks(seed, 100)),
		lemmaClaims(tryLemma(seed, 10000)),
		twoLayerClaims(seed, 3000),
		gradientClaims(tryGradients(seed, 200)),
		costClaims(seed, costs),
	} {
		report.Claims = append(report.Claims, claims...)
	}
	return report, nil
}

// count is how often something was so.
type count struct{ hits, of int }

func (c *count) add(hit bool) {
	c.of++
	if hit {
		c.hits++
	}
}

func (c count) all() bool { return c.hits == c.of }

func (c count) String() string { return fmt.Sprintf("%d of %d", c.hits, c.of) }
