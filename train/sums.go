package train

import (
	"math"
	"slices"

	"github.com/locus-learn/locus/local"
)

// sums adds up an epoch's statistics. It is part of a checkpoint, so that a resumed epoch reports the whole of it.
type sums struct {
	Steps   int
	Loss    float64
	Seconds float64
	SGR     []mean // per module
	Cos     []mean
	Busy    []mean
	Wait    []mean
}

// mean is a running mean over the steps on which the value was measured.
type mean struct {
	N   int
	Sum float64
}

func (m *mean) add(v float64) {
	if !math.IsNaN(v) {
		m.N++
		m.Sum += v
	}
}

// addEach adds one value a module, if there are any.
func addEach(ms *[]mean, values []float64) {
	if len(*ms) == 0 && values != nil {
		*ms = make([]mean, len(values))
	}
	for i, v := range values {
		(*ms)[i].add(v)
	}
}

func values(ms []mean) []float64 {
	if len(ms) == 0 {
		return nil
	}
	out := make([]float64, len(ms))
	for i, m := range ms {
		out[i] = m.Sum / float64(m.N) // NaN where nothing was measured
	}
	return out
}

// lastLoss is that of the last module that trained; NaN if none did.
func lastLoss(stats []local.Stats) float64 {
	for _, s := range slices.Backward(stats) {
		if !math.IsNaN(s.Loss) {
			return s.Loss
		}
	}
	return math.NaN()
}

// agreements splits stats into columns; nil where no module measured any.
func agreements(stats []local.Stats) (sgr, cos []float64) {
	measured := false
	for _, s := range stats {
		sgr, cos = append(sgr, s.SGR), append(cos, s.Cos)
		measured = measured || !math.IsNaN(s.Cos)
	}
	if !measured {
		return nil, nil
	}
	return sgr, cos
}

// times splits stats into columns of seconds; wait is nil in lock-step.
func times(stats []local.Stats) (busy, wait []float64) {
	waited := false
	for _, s := range stats {
		busy, wait = append(busy, s.Busy.Seconds()), append(wait, s.Wait.Seconds())
		waited = waited || s.Wait > 0
	}
	if !waited {
		return busy, nil
	}
	return busy, wait
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(v))
	return sorted[len(sorted)/2]
}
