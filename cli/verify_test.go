package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/locus-learn/locus/method/methodtest"
	"github.com/locus-learn/locus/theory"
)

func TestVerifyTheory(t *testing.T) {
	var found struct{ Theory theory.Report }
	if err := json.Unmarshal([]byte(succeed(t, "verify", "--theory", "--seed", "3", "--json")), &found); err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]theory.Verdict{}
	for _, c := range found.Theory.Claims {
		verdicts[c.Name] = c.Verdict
	}
	for name, want := range map[string]theory.Verdict{
		"Theorem A.3, Eq. 3":                    theory.Holds,
		"Theorem 3.3, η₁":                       theory.Corrected,
		"Theorem 3.3, Eq. 4":                    theory.Holds,
		"Proposition 3.4":                       theory.Holds,
		"Proposition 3.4, heads":                theory.Fails,
		"Proposition 3.4, normalised":           theory.Fails,
		"Lemma C.2":                             theory.Holds,
		"Lemma C.2, δx of another feature":      theory.Holds,
		"Eq. 30":                                theory.Corrected,
		"Proposition 3.5, premise":              theory.Fails,
		"Proposition 3.5, Eq. 33":               theory.Corrected,
		"Proposition 3.5, Eq. 30 as printed":    theory.Fails,
		"Proposition 3.5, descent along Eq. 35": theory.Fails,
		"Proposition 3.5, descent along ∂S/∂θ₂": theory.Fails,
		"Eq. 35":     theory.Corrected,
		"Table 8":    theory.Holds,
		"Appendix D": theory.Holds,
	} {
		if verdicts[name] != want {
			t.Errorf("%s: %q, want %q", name, verdicts[name], want)
		}
		delete(verdicts, name)
	}
	if len(verdicts) > 0 {
		t.Errorf("claims that this test does not know: %v", verdicts)
	}
}

func TestPrintTheory(t *testing.T) {
	root := newRoot(new(strings.Builder), nil)
	out := new(strings.Builder)
	root.SetOut(out)
	err := printTheory(root, theory.Report{
		Claims:   []theory.Claim{{Name: "Lemma", Claimed: "a < b", Measured: "3 of 3", Verdict: theory.Holds}},
		Descents: []theory.Descent{{Iteration: 7, Points: []theory.Point{{Gap: 1, Bound: 2}, {}, {}, {}}}},
		Costs:    []theory.ModuleCost{{Model: "net", Modules: 2, BP: 3e6, SGR: 6e6, Hours: 2.5}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"holds  Lemma\n    claimed: a < b\n    measured: 3 of 3", "1.0e+00 (2.0e+00)", "99 %", "2.00", "2.50"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

// Without a flag it tries every method's claims, a line each.
func TestVerifyClaims(t *testing.T) {
	out := succeed(t, "verify")
	for _, want := range []string{"holds  bp ", "holds  greedy ", "infopro + sgr", "isolation", "transport", "determinism"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "FAILS") {
		t.Error(out)
	}
}

func TestFailedClaimsAreShown(t *testing.T) {
	line := findingLine(methodtest.Finding{Method: "m", Check: "graph", Note: "n", Failure: "it records", Seconds: 1})
	if !strings.HasPrefix(line, "FAILS  m ") || !strings.HasSuffix(line, "it records") {
		t.Error(line)
	}
}

func TestVerifyRefuses(t *testing.T) {
	refuse(t, []string{"--seed", `"-1"`, "whole number"}, "verify", "--theory", "--seed", "-1")
	refuse(t, []string{"--teory", "--theory"}, "verify", "--teory")
	refuse(t, []string{"theory", "method.name"}, "verify", "theory")
}
