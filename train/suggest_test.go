package train

import (
	"math"
	"testing"

	"github.com/locus-learn/locus/local"
)

// On a curve that is known, the suggestion is where it falls fastest and the average is that of its definition.
func TestSuggestedRate(t *testing.T) {
	var r Rates
	loss := func(x float64) float64 { return 2 - 1/(1+math.Exp(-2*(x+3))) + math.Exp(3*(x-0.5)) } // falls fastest at 10⁻³
	for i := range 200 {
		x := -6 + 7*float64(i)/199
		r.take([]local.Outcome{{Tick: local.Tick{LR: math.Pow(10, x)}, Stats: []local.Stats{{Loss: loss(x)}, {Loss: math.NaN()}}}})
	}
	r.suggest()
	if at := math.Log10(r.Suggestion); at < -3.1 || at > -2.3 { // the average lags behind
		t.Errorf("the suggestion is 10^%.2f, want about 10^-3", at)
	}
	if r.Lowest <= r.Suggestion {
		t.Errorf("lowest at %g, suggestion %g", r.Lowest, r.Suggestion)
	}
	weights, sum := 0.0, 0.0
	for i := range 50 { // Σ βⁱ⁻ʲ ℓ_j / Σ βⁱ⁻ʲ
		w := math.Pow(rateMemory, float64(49-i))
		weights, sum = weights+w, sum+w*r.Points[i].Loss
	}
	if got := r.Points[49].Smooth; math.Abs(got-sum/weights) > 1e-12 {
		t.Errorf("the average is %g, want %g", got, sum/weights)
	}
	var flat Rates
	for i := range 30 {
		flat.take([]local.Outcome{{Tick: local.Tick{LR: float64(i + 1)}, Stats: []local.Stats{{Loss: 1 + float64(i)}}}})
	}
	if flat.suggest(); flat.Suggestion != 0 || flat.Lowest != 0 {
		t.Errorf("a loss that only rises has suggestion %g", flat.Suggestion)
	}
}
