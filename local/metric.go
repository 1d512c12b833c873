package local

import (
	"math"

	"github.com/locus-learn/locus/torch"
)

// Metric is something that a head's answers are measured by, besides their top-1 and top-5 accuracy.
type Metric struct {
	Name string // as events, tables and pictures call it: lower-case letters, digits and '_'
	// Sum measures answers [N, classes], in float32 or better, against labels y [N], and returns the sum over the samples.
	// It consumes nothing.
	Sum func(s *torch.Scope, answers, y torch.Tensor) float64
	// Value makes what is reported of the mean over all samples; nil: the mean itself.
	Value func(mean float64) float64
}

// Of returns what is reported for a sum over n samples; NaN for none.
func (m Metric) Of(sum float64, n int) float64 {
	mean := sum / float64(n) // 0/0 is NaN
	if m.Value == nil {
		return mean
	}
	return m.Value(mean)
}

// Perplexity is the exponential of the mean cross-entropy: among how many equally likely classes the answers waver.
var Perplexity = Metric{
	Name: "perplexity",
	Sum: func(s *torch.Scope, answers, y torch.Tensor) float64 {
		loss := s.CrossEntropy(answers, y, 0)
		defer loss.Free()
		return loss.Item() * float64(y.Shape()[0])
	},
	Value: math.Exp,
}

// Measured lists what the rule's heads are measured by: its own metrics, then those of its objective, which may have a
// method Metrics that returns some.
func (r *Rule) Measured() []Metric {
	all := append([]Metric{}, r.Metrics...)
	if o, ok := r.Objective.(interface{ Metrics() []Metric }); ok {
		all = append(all, o.Metrics()...)
	}
	return all
}
