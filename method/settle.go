package method

import (
	"cmp"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
)

// defaultModules is K where a program names neither modules nor cuts.
const defaultModules = 3

// settled puts defaults in place of zeros that mean nothing, and checks the rest: a program's options have not gone through
// a recipe, whose tags have the same bounds.
func (o Options) settled() (Options, error) {
	if o.Modules == 0 && len(o.Cuts) == 0 {
		o.Modules = defaultModules
	}
	o.Gradient = cmp.Or(o.Gradient, string(local.Auto))
	o.Reduction, o.Checkpoint = cmp.Or(o.Reduction, string(local.Mean)), cmp.Or(o.Checkpoint, "none")
	o.OutputError = cmp.Or(o.OutputError, "second")
	o.Visit, o.Signals = cmp.Or(o.Visit, 8), cmp.Or(o.Signals, "memory")
	o.Every, o.Fraction, o.Feedback = cmp.Or(o.Every, 1), cmp.Or(o.Fraction, 1), cmp.Or(o.Feedback, 1)
	for _, k := range []struct {
		key, value string
		allowed    []string
	}{
		{"reduction", o.Reduction, []string{string(local.Mean), string(local.Batch), string(local.Sum)}},
		{"output_error", o.OutputError, []string{"second", "first"}},
		{"signals", o.Signals, []string{"memory", "spill"}},
	} {
		if !slices.Contains(k.allowed, k.value) {
			return o, fault.New("method.%s is %q: must be one of %s", k.key, k.value, strings.Join(k.allowed, ", "))
		}
	}
	for _, k := range []struct {
		key              string
		value, low, high float64
	}{
		{"modules", float64(o.Modules), 0, 4096}, {"pipeline", float64(o.Pipeline), 0, 1024}, {"resident", float64(o.Resident), 0, 4096}, {"visit", float64(o.Visit), 0, 4096},
		{"every", float64(o.Every), 1, 1e9},
		{"lambda", o.Lambda, 0, 1e9}, {"ramp", o.Ramp, 0, 1}, {"fraction", o.Fraction, 0, 1}, {"label_smoothing", o.Smoothing, 0, 0.999},
		{"feedback", o.Feedback, 0, 1e6}, {"redundancy", o.Redundancy, 0, 1e6}, {"noise", o.Noise, 0, 1e6},
	} {
		if !(k.value >= k.low && k.value <= k.high) { // NaN, too
			return o, fault.New("method.%s is %g: must be from %g to %g", k.key, k.value, k.low, k.high)
		}
	}
	return o, nil
}
