package local

import (
	"context"
	"errors"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"

	"github.com/locus-learn/locus/torch"
)

// Pipeline drives the modules of a chain at the same time (Appendix D, second strategy): while module 3 trains on batch
// t, module 2 does on t + 1 and module 1 on t + 2. Each module is a worker, a goroutine labelled local/module=1, 2, …
// for pprof with a thread of its own, and a bounded channel leads from each to the next.
//
// # What it computes
//
// What lock-step computes, bit for bit where operations get as many threads, for any number of batches in flight. A
// module's update depends on the module and its signal alone, and nothing flows back. Every worker takes the batches in
// order, and the signal of batch t comes from the previous module with its updates on all batches before t and without
// that on t, as in lock-step: neither features, nor Delta, nor the learning rate, which travels with its batch, are ever
// stale. Only the modules as a whole are out of step: while batches are in flight, earlier modules have seen some that
// later ones have not. Hence evaluate, save and change options only after [Pipeline.Drain].
//
// # What it costs
//
// A module's temporaries live beside the other modules', and signals wait between them: the peak of live bytes is no
// longer that of the largest module, but up to that of all modules and of as many signals as batches may be in flight.
// The slowest module sets the pace; [Stats] tell it by its Busy, and the others by their Wait.
//
// On two quiet cores lock-step is about as fast or faster, since one module can use both (ResNet-32, two and three modules).
// A pipeline is for more cores than a module can use, for modules of about the same work, and for cores that others use,
// too: there a team of threads waits for its slowest at every operation, and workers of one thread do not.
type Pipeline struct {
	chain    *Chain
	threads  int
	capacity int // batches in flight
	inFlight int
	entry    chan<- batch // to the first worker
	exit     <-chan batch // from the last one
	workers  sync.WaitGroup
	closed   bool
	err      error // the first one, for good
}

// NewPipeline starts a worker for every module of chain, which it then drives in the chain's stead. The threads are
// shared out among the workers, at least one each. With fewer batches in flight than modules, some workers always wait.
// The caller closes the pipeline.
func NewPipeline(chain *Chain, inFlight, threads int) *Pipeline {
	k := len(chain.modules)
	torch.SetBLASThreads(max(1, threads/k))
	p := &Pipeline{chain: chain, threads: threads, capacity: inFlight}
	next := make(chan batch, inFlight) // every channel has room for all that is in flight: no send blocks
	p.entry = next
	for i, m := range chain.modules {
		in, out := next, make(chan batch, inFlight)
		team := max(1, threads*(i+1)/k-threads*i/k)
		label := pprof.Labels("local/module", strconv.Itoa(m.Index))
		p.workers.Go(func() {
			pprof.Do(context.Background(), label, func(context.Context) { p.work(i, team, in, out) })
		})
		next = out
	}
	p.exit = next
	return p
}

// work is the life of the i-th module's worker.
func (p *Pipeline) work(i, threads int, in <-chan batch, out chan<- batch) {
	defer close(out)
	torch.PinTeam(threads)
	at := station{chain: p.chain, module: i}
	idle := time.Now()
	for b := range in {
		at.serve(&b, time.Since(idle))
		idle = time.Now()
		out <- b
	}
}

// Step implements [Learner]. It waits while as many batches are in flight as may be.
//
// The first error ends the pipeline: it is returned from here on, and no goroutine or signal is left. Which error is the
// first does not depend on scheduling: it is that of the earliest batch, which has gone no further than in lock-step. All
// modules have learned from all batches before it, and those in front of the module that failed from it and from the
// batches that were in flight behind it, too; so go on from a checkpoint, not from these modules.
func (p *Pipeline) Step(x, y torch.Tensor, at Tick) ([]Outcome, error) {
	left, err := p.wait(p.capacity - 1)
	if err != nil {
		Signal{X: x, Y: y}.Free()
		return left, err
	}
	signal, err := p.chain.Enter(x, y, at.Step)
	if err != nil {
		return left, err
	}
	p.entry <- newBatch(p.chain, signal, at)
	p.inFlight++
	return left, nil
}

// Drain implements [Learner].
func (p *Pipeline) Drain() ([]Outcome, error) { return p.wait(0) }

// wait returns the batches that have to leave until at most n are in flight.
func (p *Pipeline) wait(n int) (left []Outcome, err error) {
	for p.err == nil && p.inFlight > n {
		b := <-p.exit
		p.inFlight--
		if p.err = b.leave(); p.err == nil {
			left = append(left, b.Outcome)
		} else {
			p.Close()
		}
	}
	return left, p.err
}

// Evaluate implements [Learner], in the calling goroutine.
func (p *Pipeline) Evaluate(x, y torch.Tensor) ([]Score, error) {
	all, err := p.EvaluateAll([]Signal{{X: x, Y: y}})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// EvaluateAll implements [Learner], in the calling goroutine.
func (p *Pipeline) EvaluateAll(batches []Signal) ([][]Score, error) {
	if p.inFlight > 0 {
		for _, b := range batches {
			b.Free()
		}
		return nil, errors.New("local: Evaluate while batches are in flight")
	}
	return p.chain.EvaluateAll(batches)
}

// Modules implements [Learner].
func (p *Pipeline) Modules() []*Module { return p.chain.modules }

// Close implements [Learner]. Batches in flight are trained to the end; their outcomes are lost.
func (p *Pipeline) Close() {
	if p.closed {
		return
	}
	p.closed, p.inFlight = true, 0
	close(p.entry)
	var lost [][]Stats
	for b := range p.exit {
		b.signal.Free()
		lost = append(lost, b.Stats)
	}
	p.workers.Wait()
	for _, stats := range lost {
		forget(stats)
	}
	torch.SetBLASThreads(p.threads)
}
