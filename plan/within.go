package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/locus-learn/locus/model"
)

// Way is how to train within a budget of memory.
type Way struct {
	Prediction
	Checkpoint string  `json:"checkpoint"` // method.checkpoint
	Accumulate int     `json:"accumulate"` // batches of Prediction.Batch whose mean gradient makes one update
	Price      float64 `json:"price"`      // time of an update over that of the fastest way without a budget, predicted
}

// String says the way in the recipe's words.
func (w Way) String() string {
	text := fmt.Sprintf("batches of %d, method.modules=%d method.checkpoint=%s", w.Batch, len(w.Modules), w.Checkpoint)
	if s := w.Streaming; s != nil {
		text += fmt.Sprintf(" method.resident=%d method.visit=%d", s.Resident, s.Visit)
		if s.Spilled {
			text += " method.signals=spill"
		}
	}
	if w.Accumulate > 1 {
		text += fmt.Sprintf(" optim.accumulate=%d", w.Accumulate)
	}
	return text
}

// Why says what takes the most of a way's memory.
func (w Way) Why() string {
	most := slices.MaxFunc(w.Modules, func(a, b Module) int { return cmp.Compare(a.ActivationBytes, b.ActivationBytes) })
	rest := w.RestingBytes
	what := fmt.Sprintf("%d modules", len(w.Modules))
	if w.Streaming != nil {
		what, rest = "a module at a time", most.ParameterBytes+most.OptimizerBytes
	}
	return fmt.Sprintf("weights and optimizer state of %s take %s, and the step of the largest one, from %s on, %s",
		what, mebibytes(rest), most.Blocks[0], mebibytes(most.ActivationBytes))
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

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
// tensors: cuts, checkpoints inside modules, modules in memory, batches a visit, and where signals wait. Only where nothing fits is the batch
// divided, and gradients of its parts accumulated. ok is false where nothing does: the way is then the one that takes least.
// Of the options it sets Most.
func Within(spec model.Spec, batch int, budget int64, o Options) (way Way, ok bool, err error) {
	var planners []*Planner
	defer func() {
		for _, p := range planners {
			p.Free()
		}
	}()
	checkpoints := []string{"none", "sqrt", "blocks"}
	spec.Method.Cuts, spec.Method.Resident = []string{"auto"}, 0
	if o.Most = batch; o.Blocks == nil {
		o.Blocks = Lines{}
	}
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
		counts = slices.DeleteFunc(counts, func(k int) bool { return k == 1 })
	}
	for _, k := range counts {
		r, err := p.Plan(k, batch, Memory)
		if err != nil {
			return nil, err
		}
		if p.checkpoints != nil && !p.inside(r) {
			continue
		}
		ways = append(ways, Way{Prediction: r, Accumulate: parts})
		for resident := 1; resident < k; resident++ {
			for visit := mostVisit; visit > 0; visit /= 2 {
				for _, spilled := range []bool{false, true} {
					ways = append(ways, Way{Prediction: p.Streamed(r, resident, visit, spilled), Accumulate: parts})
				}
			}
		}
	}
	return ways, nil
}

// mostVisit is the longest visit that a budget is tried with. A longer one would hardly move less.
const mostVisit = 16
