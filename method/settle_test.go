package method_test

import (
	"math"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
)

// A program's options may leave out what a recipe would fill in.
func TestZerosAreDefaults(t *testing.T) {
	m, o, err := method.Lookup(method.Options{Name: "sgr", Lambda: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	if o.Modules != 3 || o.Reduction != "mean" || o.Gradient != "auto" || o.Checkpoint != "none" || o.Every != 1 || o.Fraction != 1 || o.Feedback != 1 {
		t.Errorf("settled as %+v", o)
	}
	rule, _ := m.Compose(o)
	if err := rule.Term.(*local.Reconcile).Check(); err != nil {
		t.Error(err)
	}
	nan := math.NaN()
	for key, o := range map[string]method.Options{
		"reduction": {Reduction: "median"}, "checkpoint": {Checkpoint: "all"}, "gradient": {Gradient: "fast"}, "output_error": {OutputError: "third"},
		"modules": {Modules: -1}, "pipeline": {Pipeline: -1}, "every": {Every: -2}, "lambda": {Lambda: nan}, "ramp": {Ramp: 1.5},
		"fraction": {Fraction: -0.5}, "label_smoothing": {Smoothing: 1}, "feedback": {Feedback: math.Inf(1)}, "redundancy": {Redundancy: -1}, "noise": {Noise: nan},
	} {
		o.Name = "sgr"
		if _, _, err := method.Lookup(o); !fault.Is(err) || !strings.HasPrefix(err.Error(), "method."+key+" is ") {
			t.Errorf("%+v: want a fault about %s, got %v", o, key, err)
		}
	}
}
