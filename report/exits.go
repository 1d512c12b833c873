package report

import (
	"fmt"
	"math"
	"slices"
)

// exit is what becomes of the samples when each leaves at the first head that is sure enough.
type exit struct {
	threshold float64   // how sure a head must be; the last one answers whatever is left
	accuracy  float64   // per cent
	macs      float64   // mean multiply-adds a sample
	shares    []float64 // of the samples that leave at each head that answers, in per cent
}

// leave lets samples leave at a threshold, as 'locus predict --confidence' does. A sample pays for all modules up to the head
// that it leaves at, and for each head that it asks.
func (e Examination) leave(threshold float64) exit {
	asked := e.answering()
	x := exit{threshold: threshold, shares: make([]float64, len(asked))}
	right, macs := 0, 0.0
	for i, label := range e.Labels {
		for k, head := range asked {
			s := e.Heads[head].Said[i]
			if s.Sure < threshold && k < len(asked)-1 {
				continue
			}
			if s.Class == label {
				right++
			}
			x.shares[k] += 100 / float64(len(e.Labels))
			macs += float64(e.path(head, asked))
			break
		}
	}
	x.accuracy, x.macs = 100*float64(right)/float64(len(e.Labels)), macs/float64(len(e.Labels))
	return x
}

// thresholds are those of the curve: every per cent, and finer where most of a trained network's answers are.
func thresholds() (all []float64) {
	for i := 1; i < 100; i++ {
		all = append(all, float64(i)/100)
	}
	for i := 991; i < 1000; i++ {
		all = append(all, float64(i)/1000)
	}
	return append(all, 0.9999, 1)
}

// exits is the curve of accuracy against computation; none where a single head answers.
func (e Examination) exits() (all []exit) {
	if len(e.answering()) < 2 {
		return nil
	}
	for _, t := range thresholds() {
		all = append(all, e.leave(t))
	}
	return all
}

// cheapest returns the exit with the least computation that is at least so accurate.
func cheapest(all []exit, accuracy float64) (best exit, found bool) {
	for _, x := range all {
		if x.accuracy >= accuracy && (!found || x.macs < best.macs) {
			best, found = x, true
		}
	}
	return best, found
}

// lost are the points of accuracy that the verdicts allow to lose.
var lost = []float64{0, 0.5, 1, 2}

// verdicts are those of leaving early here.
func (e Examination) verdicts() []string {
	return verdicts(e.exits(), float64(e.alone(len(e.Heads)-1)), e.last().Top1, "an accuracy")
}

// verdicts say in words what leaving early brings: whole is what the last head alone takes, last how right it is, in per cent, and
// measure what that is called.
func verdicts(all []exit, whole, last float64, measure string) (lines []string) {
	if len(all) == 0 {
		return []string{"One head answers: there is none to leave at earlier."}
	}
	var told []float64
	for _, points := range lost {
		x, ok := cheapest(all, last-points-1e-9)
		if !ok || x.macs >= whole || slices.Contains(told, x.threshold) {
			continue
		}
		told = append(told, x.threshold)
		of := "As right as the last head, or more so"
		if points > 0 {
			of = fmt.Sprintf("At most %g points less right", points)
		}
		lines = append(lines, fmt.Sprintf("%s: --confidence %g takes %.0f %% of the multiply-adds of the last head alone, at %s of %.2f %%.",
			of, x.threshold, 100*x.macs/whole, measure, x.accuracy))
	}
	if len(lines) == 0 {
		return []string{"No confidence saves computation here without a loss of more than 2 points: the last head alone is the best choice."}
	}
	return lines
}

// points are a curve without the exits that differ in nothing from the one before them.
func points(all []exit) (out []point) {
	for i, x := range all {
		if i > 0 && x.macs == all[i-1].macs && x.accuracy == all[i-1].accuracy {
			continue
		}
		out = append(out, at(x.macs, x.accuracy))
	}
	return out
}

// at is a point of a curve of computation.
func at(macs, accuracy float64) point { return value(macs/1e6, accuracy) }

// value is a point without a spread.
func value(x, y float64) point { return point{x, y, y, y} }

// digitsFor is how many digits behind the point a number of multiply-adds in millions needs to have three in all.
func digitsFor(millions float64) int {
	return max(0, 2-int(math.Floor(math.Log10(max(millions, 1e-3)))))
}
