package local

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/locus-learn/locus/torch"
)

// Agreement says how a module's input gradient relates to the gradient that the previous module handed on.
// Both are NaN where no term measured them.
type Agreement struct {
	SGR torch.Number // S, by the term's own normalisation and reduction
	Cos torch.Number // mean over samples of cos(δ, r)
}

// unmeasured is the agreement where no term measured it.
var unmeasured = Agreement{torch.Known(math.NaN()), torch.Known(math.NaN())}

// Stats of one module on one batch.
type Stats struct {
	Loss     float64
	SGR, Cos float64       // see [Agreement]
	Busy     time.Duration // of the module, with this batch
	Wait     time.Duration // of its worker, for this batch; 0 in lock-step

	late *found // where the numbers have not arrived
}

// untrained are the stats of a module that did not train on a batch.
var untrained = Stats{Loss: math.NaN(), SGR: math.NaN(), Cos: math.NaN()}

// Late reports whether the numbers have to be waited for: see [Stats.Arrive].
func (s *Stats) Late() bool { return s.late != nil }

// Arrive waits for the numbers of a step on a device other than the CPU, and returns [*Diverged] if they are not those of a
// step that should have been taken. On the CPU they are there when the step returns.
func (s *Stats) Arrive() (err error) {
	defer torch.Catch(&err)
	if s.late == nil {
		return nil
	}
	if !s.late.departed && !s.late.shared {
		depart([]Stats{*s})
	}
	f := s.late
	s.late = nil
	if err := f.arrive(); err != nil {
		return err
	}
	s.Loss, s.SGR, s.Cos = f.values[foundLoss], f.values[foundSGR], f.values[foundCos]
	return f.check()
}

// What a step finds, in the order in which it is kept.
const (
	foundLoss = iota
	foundSGR
	foundCos
	foundGradients // finite where they are
	foundCount
)

// found is what a module finds at a step. On a device its numbers are on their way until somebody needs them.
type found struct {
	module   *Module
	step     int
	lossless bool
	numbers  [foundCount]torch.Number // freed when they depart
	departed bool
	shared   bool  // numbers come with the sum of the gradients over ranks: see Module.Share
	failed   error // why that sum has failed
	from     int   // the place of the first in reading

	mutex   sync.Mutex          // a pipeline's worker and its caller may both wait
	reading *torch.Reading      // of this step's numbers and perhaps of other modules'; nil where all have arrived
	values  [foundCount]float64 // once they have arrived
}

// newFound collects what a step has found and takes what is known of it.
func newFound(m *Module, step int, g Gradients, a Agreement, gradients torch.Number) *found {
	f := &found{module: m, step: step, lossless: g.Lossless, numbers: [foundCount]torch.Number{g.Loss, a.SGR, a.Cos, gradients}}
	for i, n := range f.numbers {
		f.values[i], _ = n.Value()
	}
	return f
}

// known reports whether all numbers are on the host.
func (f *found) known() bool {
	for _, n := range f.numbers {
		if _, known := n.Value(); !known {
			return false
		}
	}
	return true
}

// check returns *Diverged if loss or gradients are not finite.
func (f *found) check() error {
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	if !f.lossless && !finite(f.values[foundLoss]) || !finite(f.values[foundGradients]) {
		return &Diverged{Module: f.module.Index, Step: f.step, Loss: f.values[foundLoss], lossless: f.lossless}
	}
	return nil
}

// arrive waits for the numbers, the first time. The error is that of a sum over ranks.
func (f *found) arrive() error {
	if f.shared {
		return f.module.arrive(f)
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.reading == nil {
		return nil
	}
	read := f.reading.Values()[f.from:]
	for i, n := range f.numbers {
		if _, known := n.Value(); !known {
			f.values[i], read = read[0], read[1:]
		}
	}
	f.reading = nil
	return nil
}

// depart sends the numbers of a step's modules to the host, all in one copy, and reports whether there are any to be sent.
func depart(stats []Stats) bool {
	var all []torch.Tensor
	var late []*found
	shared := false
	for _, s := range stats {
		if s.late != nil && s.late.shared {
			shared = true
			continue
		}
		if s.late == nil {
			continue
		}
		s.late.from = len(all)
		late = append(late, s.late)
		for _, n := range s.late.numbers {
			if _, known := n.Value(); !known {
				all = append(all, n.Tensor())
			}
		}
	}
	if len(late) == 0 {
		return shared
	}
	s := all[0].Device().Scope(torch.NoGrad)
	defer s.Close()
	reading := s.Stack(all).Read()
	for _, f := range late {
		f.reading, f.departed = reading, true
		f.free()
	}
	return true
}

// arrive waits for the numbers of a step's modules and returns the first error.
func arrive(stats []Stats) (err error) {
	for i := range stats {
		if e := stats[i].Arrive(); err == nil {
			err = e
		}
	}
	return err
}

// forget gives up numbers that nobody will ask for.
func forget(stats []Stats) {
	for _, s := range stats {
		if s.late == nil || s.late.shared {
			continue
		}
		s.late.free()
		if s.late.reading != nil {
			s.late.reading.Free()
		}
	}
}

// free releases the numbers on the device.
func (f *found) free() {
	for _, n := range f.numbers {
		n.Free()
	}
}

// Diverged reports a loss or a gradient that is not finite.
//
// On the CPU the module's parameters and optimizer are as they were before the step; its running statistics have seen the
// batch. On another device the error comes one step late, so that nobody waits for the device: by then the modules in memory
// have taken the bad step and perhaps the next one. What was saved is good, since [Learner.Drain], which goes before every
// save, returns the error of a step that has not been told. So go on from the last checkpoint.
type Diverged struct {
	Module, Step int
	Loss         float64
	lossless     bool
}

// NewDiverged is for those who tell of a module in another process.
func NewDiverged(module, step int, loss float64, lossless bool) *Diverged {
	return &Diverged{Module: module, Step: step, Loss: loss, lossless: lossless}
}

// Lossless reports whether the module has no loss of its own.
func (d *Diverged) Lossless() bool { return d.lossless }

func (d *Diverged) Error() string {
	if !d.lossless && (math.IsNaN(d.Loss) || math.IsInf(d.Loss, 0)) {
		return fmt.Sprintf("the loss of module %d became %v at step %d", d.Module, d.Loss, d.Step)
	}
	return fmt.Sprintf("a gradient of module %d is not finite at step %d", d.Module, d.Step)
}
