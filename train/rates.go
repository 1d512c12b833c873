package train

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
)

// RateOptions say how learning rates are tried.
type RateOptions struct {
	Data     string       // folder to look for data in first
	From, To float64      // rates of the first and the last step; the steps between rise by a constant factor
	Steps    int          // at least 2
	Notice   func(string) // gets warnings, a line each; may be nil
	Progress func(done, total int)
}

// Check returns a fault where the options cannot be used.
func (o RateOptions) Check() error {
	switch {
	case !(o.From > 0 && o.From < math.Inf(1)):
		return fault.New("--from is %g: must be a rate above 0", o.From)
	case !(o.To > o.From && o.To <= 1e6):
		return fault.New("--to is %g: must be above --from, %g, and at most 1e6", o.To, o.From)
	case o.Steps < 10 || o.Steps > 100_000:
		return fault.New("--steps is %d: must be from 10 to 100000", o.Steps)
	}
	return nil
}

// RatePoint is a step at a learning rate.
type RatePoint struct {
	LR      float64
	Modules []float64 // loss of each module; NaN of one that did not train
	Loss    float64   // mean of theirs
	Smooth  float64   // moving average of the losses so far
}

// Rates is what trying learning rates has found.
type Rates struct {
	Points     []RatePoint
	Suggestion float64 // where the loss falls fastest; 0 if it never fell
	Lowest     float64 // the rate at which the smoothed loss was lowest; 0 if it never fell
	Rose       bool    // the loss had risen so far that higher rates were not tried
}

const (
	rateMemory = 0.9 // of the moving average
	rateRise   = 4   // the loss has risen when it is so many times the lowest one
	rateWarm   = 10  // steps from which on the average says something
)

// TryRates is the learning-rate range test (Smith 2017): it trains a new network of the recipe for some steps, at a rate that
// rises from step to step, and looks at where the loss falls. The recipe's schedule does not matter; everything else is
// that of a run. Nothing is written. When ctx ends, the error is ctx's and the rates are those tried so far.
func TryRates(ctx context.Context, c Config, o RateOptions) (Rates, error) {
	var r Rates
	if err := o.Check(); err != nil {
		return r, err
	}
	set, err := data.Open(c.Data, c.Seed, dirs(o.Data))
	if err != nil {
		return r, err
	}
	if c.Method.Resident > 0 {
		return r, fault.New("method.resident is %d: must be 0 to try learning rates, with all modules in memory", c.Method.Resident)
	}
	if o.Notice != nil {
		for _, line := range set.Info().Notes {
			o.Notice(line)
		}
		data.OnBroken(set, o.Notice)
	}
	m, err := NewModel(c, inputOf(set.Info()), false)
	if err != nil {
		return r, err
	}
	defer m.Free()
	defer torch.Pin()()
	err = r.try(ctx, m, set, o)
	var diverged *local.Diverged
	if errors.As(err, &diverged) {
		r.Rose, err = true, nil
	}
	r.suggest()
	return r, err
}

// try takes the steps.
func (r *Rates) try(ctx context.Context, m *Model, set data.Source, o RateOptions) error {
	for step, epoch := 0, 0; step < o.Steps; epoch++ {
		loader := trainingBatches(m, set, epoch, 0, 0, 1)
		for step < o.Steps {
			batch, err := loader.Next(ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil {
				x, y := batchTensors(m, set.Info(), batch)
				share := float64(step) / float64(o.Steps-1)
				var left []local.Outcome
				left, err = m.Learner.Step(x, y, local.Tick{
					Step: step, Done: float64(step) / float64(o.Steps), LR: o.From * math.Pow(o.To/o.From, share),
				})
				r.take(left)
			}
			if err != nil || r.rising() {
				loader.Close()
				return err
			}
			if step++; o.Progress != nil {
				o.Progress(step, o.Steps)
			}
		}
		loader.Close()
	}
	left, err := m.Learner.Drain()
	r.take(left)
	return err
}

// take adds the steps that have left the network.
func (r *Rates) take(left []local.Outcome) {
	for _, o := range left {
		p := RatePoint{LR: o.LR}
		sum, n := 0.0, 0
		for _, s := range o.Stats {
			p.Modules = append(p.Modules, s.Loss)
			if !math.IsNaN(s.Loss) {
				sum, n = sum+s.Loss, n+1
			}
		}
		p.Loss = sum / float64(n) // NaN where no module has a loss
		p.Smooth = p.Loss
		if i := len(r.Points); i > 0 { // the average of all so far, in which older ones count less
			weight := (1 - rateMemory) / (1 - math.Pow(rateMemory, float64(i+1)))
			p.Smooth = r.Points[i-1].Smooth + weight*(p.Loss-r.Points[i-1].Smooth)
		}
		r.Points = append(r.Points, p)
	}
}

// rising says whether higher rates are not worth a try.
func (r *Rates) rising() bool {
	n := len(r.Points)
	if n <= rateWarm {
		return false
	}
	lowest := math.Inf(1)
	for _, p := range r.Points {
		lowest = min(lowest, p.Smooth)
	}
	r.Rose = r.Points[n-1].Smooth > rateRise*lowest
	return r.Rose
}

// suggest finds the rate at which the smoothed loss is lowest, and the one in front of it at which it falls fastest.
func (r *Rates) suggest() {
	low := 0
	for i, p := range r.Points {
		if p.Smooth < r.Points[low].Smooth {
			low = i
		}
	}
	if low < rateWarm {
		return // it never fell, but for the noise of the first steps
	}
	r.Lowest = r.Points[low].LR
	steepest := 0.0
	const reach = 3 // steps to either side, so that noise does not decide
	for i := rateWarm; i <= low; i++ {
		a, b := r.Points[max(0, i-reach)], r.Points[min(len(r.Points)-1, i+reach)]
		if slope := (b.Smooth - a.Smooth) / math.Log(b.LR/a.LR); slope < steepest {
			steepest, r.Suggestion = slope, r.Points[i].LR
		}
	}
}
