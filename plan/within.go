package plan

import (
	"fmt"
	"slices"

	"github.com/locus-learn/locus/model"
)

// Way is how to train within a budget of memory.
type Way struct {
	Prediction
	Checkpoint string  // method.checkpoint
	Accumulate int     // batches of Prediction.Batch whose mean gradient makes one update
	Price      float64 // time of an update over that of the fastest way without a budget, predicted
}

// String says the way in the recipe's words.
func (w Way) String() string {
	text := fmt.Sprintf("batches of %d, method.modules=%d method.checkpoint=%s", w.Batch, len(w.Modules), w.Checkpoint)
	if s := w.Streaming; s != nil {
		text += fmt.Sprintf(" method.resident=%d method.visit=%d", s.Resident, s.Visit)
	}
	if w.Accumulate > 1 {
		text += fmt.Sprintf(" optim.accumulate=%d", w.Accumulate)
	}
	return text
}

// diskBytes is what a disk moves a second, roughly: to weigh what comes and goes against computing.
const diskBytes = 500e6

// seconds of an update.
func (w Way) seconds() float64 {
	s := w.Seconds()
	if m := w.Streaming; m != nil {
		s += float64(m.ReadBytes+m.WrittenBytes) / diskBytes
	}
	return s * float64(w.Accumulate)
}

// Within returns the fastest way, by the prediction, to train a spec's method in batches of a size within so many bytes of
// tensors: cuts, checkpoints inside modules, modules in memory, and batches a visit. Only where nothing fits is the batch
// divided, and gradients of its parts accumulated. ok is false where nothing does: the way is then the one that takes least.
func Within(spec model.Spec, batch int, budget int64) (way Way, ok bool, err error) {
	var planners []*Planner
	defer func() {
		for _, p := range planners {
			p.Free()
		}
	}()
	checkpoints := []string{"none", "sqrt", "blocks"}
	spec.Method.Cuts, spec.Method.Resident = []string{"auto"}, 0
	o := Options{Most: batch, Timings: 1, Blocks: Lines{}}
	for _, spec.Method.Checkpoint = range checkpoints {
		p, err := New(spec, o)
		if err != nil {
			return way, false, err
		}
		planners = append(planners, p)
	}
	var fastest, least Way
	for parts := 1; batch/parts >= 2 && !ok; parts *= 2 {
		for i, p := range planners {
			ways, err := p.ways(batch/parts, parts)
			if err != nil {
				return way, false, err
			}
			for _, w := range ways {
				w.Checkpoint = checkpoints[i]
				if fastest.Modules == nil || w.seconds() < fastest.seconds() {
					fastest = w
				}
				if least.Modules == nil || w.PeakBytes < least.PeakBytes {
					least = w
				}
				if w.PeakBytes <= budget && (!ok || w.seconds() < way.seconds()) {
					way, ok = w, true
				}
			}
		}
	}
	if !ok {
		way = least
	}
	way.Price = way.seconds() / fastest.seconds()
	return way, ok, nil
}

// ways lists what a method can do with a batch.
func (p *Planner) ways(batch, parts int) (ways []Way, err error) {
	counts := p.Counts()
	if p.Divides() {
		counts = slices.DeleteFunc(counts, func(k int) bool { // a module of one block has no checkpoint inside
			return k == 1 || k == p.Blocks() && p.checkpoints != nil
		})
	}
	for _, k := range counts {
		r, err := p.Plan(k, batch, Memory)
		if err != nil {
			return nil, err
		}
		ways = append(ways, Way{Prediction: r, Accumulate: parts})
		for _, resident := range []int{2, 1} {
			for visit := Visit; visit > 0 && k > resident; visit /= 2 {
				ways = append(ways, Way{Prediction: p.Streamed(r, resident, visit), Accumulate: parts})
			}
		}
	}
	return ways, nil
}
