// Package sample says what repeated measurements tell: their mean, their spread, and how far the mean can be trusted.
package sample

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Sample sums up values of one quantity. Mean is NaN without values, and SD with fewer than two.
type Sample struct {
	N    int     // finite values
	Mean float64 // of them
	SD   float64 // standard deviation of what they were drawn from, by N − 1
}

// Of sums up values. Those that are not finite, as a run that diverged has them, are left out: N tells how many are in.
func Of(values []float64) Sample {
	finite := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	s := Sample{N: len(finite), Mean: math.NaN(), SD: math.NaN()}
	switch {
	case s.N > 1:
		s.Mean, s.SD = stat.MeanStdDev(finite, nil)
	case s.N == 1:
		s.Mean = finite[0]
	}
	return s
}

// Differences returns what is in a less what is in b, for the keys that both have, in the keys' order. With seeds as keys
// these are paired: what a seed does to both leaves no trace in them.
func Differences[K cmp.Ordered](a, b map[K]float64) []float64 {
	var out []float64
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if other, ok := b[k]; ok {
			out = append(out, a[k]-other)
		}
	}
	return out
}

// Half is half the width of the interval around the mean that covers the true mean with a probability of level, such as
// 0.95, by Student's t. It is NaN with fewer than two values.
func (s Sample) Half(level float64) float64 {
	if s.N < 2 {
		return math.NaN()
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(s.N - 1)}.Quantile((1 + level) / 2)
	return t * stat.StdErr(s.SD, float64(s.N))
}

// Interval is the mean less and plus [Sample.Half].
func (s Sample) Interval(level float64) (low, high float64) {
	h := s.Half(level)
	return s.Mean - h, s.Mean + h
}

// Text writes mean ± standard deviation with so many digits behind the point; without the latter where there is none, and
// – without values.
func (s Sample) Text(digits int) string {
	if s.N == 0 {
		return "–"
	}
	text := strconv.FormatFloat(s.Mean, 'f', digits, 64)
	if s.N > 1 {
		text += " ± " + strconv.FormatFloat(s.SD, 'f', digits, 64)
	}
	return text
}
