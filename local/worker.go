package local

import (
	"errors"
	"fmt"
	"time"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Worker is one module's share of every step. A [Chain] drives workers one after the other, a [Pipeline] at the same time.
// A worker keeps nothing from step to step but what its module keeps.
type Worker struct {
	Module   *Module
	Rule     *Rule
	Schedule Schedule
	DType    torch.DType // of the activations
	Modules  int         // of the network: K
}

// Advance lets the module do its part of a step: train, hand the signal on, or rest. It consumes in, which is empty behind a
// module that rests, and returns the signal for the next module, which the caller owns; after the last module that trains it
// is empty.
//
// Stats of a step on a device other than the CPU arrive later: see [Stats.Arrive]. The error is a [*Diverged], which on such
// a device comes with the stats, or a [*torch.Error], of what the engine refused, behind the module's name.
func (w *Worker) Advance(in Signal, at Tick) (out Signal, stats Stats, err error) {
	if !in.X.Defined() {
		return Signal{}, untrained, nil
	}
	began := time.Now()
	switch phase := w.phase(at); phase {
	case Trains, Heads:
		out, stats, err = w.Rule.train(w.Module, in, w.DType, at, phase)
	case Frozen:
		stats = untrained
		out, err = w.pass(in)
	case Idle:
		in.Free()
		stats = untrained
	}
	stats.Busy = time.Since(began)
	if refused, ok := errors.AsType[*torch.Error](err); ok {
		err = fmt.Errorf("%s: %w", w.Module, refused)
	}
	return out, stats, err
}

// phase is what the schedule says, as far as the module has something that learns.
func (w *Worker) phase(at Tick) Phase {
	phase := w.Schedule.Phase(w.Module.Index, w.Modules, at.Done)
	if phase == Trains && w.Module.Rests() {
		phase = Heads
	}
	if phase == Heads && len(w.Module.headTheta()) == 0 {
		phase = Frozen
	}
	return phase
}

// pass hands a signal through a frozen module.
func (w *Worker) pass(in Signal) (out Signal, err error) {
	defer torch.Catch(&err)
	s := in.X.Device().Scope(torch.NoGrad)
	defer s.Close()
	adopt(s, in)
	p := nn.Evaluate(s, w.DType)
	out = in
	out.X, out.Delta, out.Mod = w.Module.Body.Forward(p, in.X), torch.Tensor{}, torch.Tensor{}
	return out.Map(torch.Tensor.Keep), nil
}
