package local

import (
	"cmp"
	"errors"
	"time"

	"github.com/locus-learn/locus/torch"
)

// Stream drives the modules of a chain of which only some are in memory: [Residents]. Each module is visited with several
// batches in a row, so that what it holds comes and goes once for all of them. Between visits the signals wait.
//
// # What it computes
//
// What lock-step computes, bit for bit, for any number of modules in memory and of batches a visit. A module's update
// depends on the module and its signal alone, and nothing flows back. Features, and the gradient that SGR hands on with
// them, leave a module before the update on their own batch. So batch t meets a module with its updates on all batches
// before t, whether the next module has seen these batches yet or not. It is a [Pipeline] of which one worker at a time is
// awake, and what is said there of errors and of modules that are out of step holds here, too.
//
// # What it costs
//
// Of weights, optimizer state, gradients and activations, no more is in memory than of the modules that may be there. What
// a module holds is read and written once a visit. Signals of a visit's batches wait in front of the next module: in memory,
// or in the chain's [Queue], where of all of them no more than one is in memory beside what a module makes of it.
type Stream struct {
	chain   *Chain
	visit   int
	waiting []batch // in front of the first module
	err     error   // the first one, for good
}

// NewStream drives a chain whose Residents are set, and which it owns from here on, with so many batches a visit.
func NewStream(chain *Chain, visit int) *Stream { return &Stream{chain: chain, visit: visit} }

// Step implements [Learner]. It trains when the batches of a visit have come.
func (s *Stream) Step(x, y torch.Tensor, at Tick) ([]Outcome, error) {
	if s.err != nil {
		Signal{X: x, Y: y}.Free()
		return nil, s.err
	}
	signal, err := s.chain.Enter(x, y, at.Step)
	if err != nil {
		return nil, err
	}
	b := newBatch(s.chain, signal, at)
	if s.err = s.put(len(s.waiting), &b); s.err != nil {
		return nil, s.err
	}
	if s.waiting = append(s.waiting, b); len(s.waiting) < s.visit {
		return nil, nil
	}
	return s.sweep()
}

// put lets a batch's signal wait at a place, if there is one behind the module that it left.
func (s *Stream) put(place int, b *batch) error {
	if s.chain.Queue == nil || !b.signal.X.Defined() {
		return nil
	}
	err := s.chain.Queue.Put(place, b.signal)
	b.signal, b.queued = Signal{}, err == nil
	return err
}

// take brings the signal back that waits at a place. Those of the places behind it come next, and then that of the first one,
// in front of the next module.
func (s *Stream) take(place int, batches []batch) (err error) {
	b := &batches[place]
	if !b.queued {
		return nil
	}
	next := (place + 1) % len(batches)
	if next == place || !batches[next].queued {
		next = -1
	}
	b.signal, err = s.chain.Queue.Take(place, next)
	b.queued = false
	return err
}

// Drain implements [Learner].
func (s *Stream) Drain() ([]Outcome, error) {
	left, err := s.sweep()
	if err == nil {
		s.err = s.chain.Residents.Settle()
	}
	if q := s.chain.Queue; q != nil && s.err == nil {
		s.err = q.Settle()
	}
	return left, s.err
}

// sweep takes the batches that wait through all modules, and returns those in front of the first one that failed.
func (s *Stream) sweep() (left []Outcome, err error) {
	batches := s.waiting
	s.waiting = nil
	for i := range s.chain.modules {
		if err = s.serve(i, batches); err != nil { // the module is not there
			for _, b := range batches {
				b.err = err
				b.leave()
			}
			s.err = err
			return nil, err
		}
	}
	for _, b := range batches {
		if err := b.leave(); s.err == nil {
			s.err = err
		}
		if s.err == nil {
			left = append(left, b.Outcome)
		}
	}
	return left, s.err
}

// serve lets the i-th module visit the batches.
func (s *Stream) serve(i int, batches []batch) error {
	at := station{chain: s.chain, module: i}
	idle := time.Now()
	serve := func() error {
		for j := range batches {
			b := &batches[j]
			b.err = cmp.Or(b.err, s.take(j, batches))
			at.serve(b, time.Since(idle))
			idle = time.Now()
			if err := s.put(j, b); err != nil {
				b.err, at.failed = err, err
			}
		}
		return nil
	}
	needed, trains := s.needs(i, batches)
	if !needed {
		return serve()
	}
	return s.chain.Residents.Use(i, trains, serve)
}

// needs reports whether the i-th module is needed for batches at all, and whether it learns from them.
func (s *Stream) needs(i int, batches []batch) (needed, trains bool) {
	for _, b := range batches {
		switch s.chain.Schedule.Phase(i+1, len(s.chain.modules), b.Done) {
		case Trains, Heads:
			return true, true
		case Frozen:
			needed = true
		}
	}
	return needed, false
}

// Evaluate implements [Learner].
func (s *Stream) Evaluate(x, y torch.Tensor) ([]Score, error) {
	all, err := s.EvaluateAll([]Signal{{X: x, Y: y}})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// EvaluateAll implements [Learner].
func (s *Stream) EvaluateAll(batches []Signal) ([][]Score, error) {
	if len(s.waiting) > 0 {
		for _, b := range batches {
			b.Free()
		}
		return nil, errors.New("local: Evaluate while batches wait")
	}
	return s.chain.EvaluateAll(batches)
}

// Modules implements [Learner].
func (s *Stream) Modules() []*Module { return s.chain.modules }

// Close implements [Learner]. Batches that wait are lost.
func (s *Stream) Close() {
	for _, b := range s.waiting {
		b.signal.Free()
	}
	s.waiting = nil
	s.chain.Residents.Close()
}
