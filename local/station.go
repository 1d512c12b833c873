package local

import (
	"cmp"
	"fmt"
	"time"

	"github.com/locus-learn/locus/torch"
)

// batch is one batch on its way through the workers.
type batch struct {
	Outcome
	signal Signal
	queued bool  // the signal waits in the chain's [Queue]
	err    error // of this batch or of one before it
}

// newBatch is a batch in front of the first module.
func newBatch(c *Chain, in Signal, at Tick) batch {
	return batch{Outcome: Outcome{at, make([]Stats, len(c.modules))}, signal: in}
}

// leave ends a batch's way behind the last module: it waits for the numbers of the step, and returns what went wrong.
func (b *batch) leave() error {
	b.signal.Free() // of a last module that was frozen
	if b.err == nil {
		b.err = arrive(b.Stats)
	}
	if b.err != nil {
		forget(b.Stats)
	}
	return b.err
}

// station is a module's place on the way of the batches, which are served in order: one after the other as they come, by a
// goroutine of a [Pipeline], or so many in a row, by a [Stream]. What follows a batch that failed is passed on untrained.
type station struct {
	chain  *Chain
	module int // from 0
	failed error
}

// serve lets the module do its part of a step with a batch that it waited for.
func (s *station) serve(b *batch, waited time.Duration) {
	if s.failed = cmp.Or(s.failed, b.err); s.failed == nil {
		b.signal, b.Stats[s.module], s.failed = s.advance(b.signal, b.Tick)
		b.Stats[s.module].Wait = waited
	} else {
		b.signal.Free()
		b.signal = Signal{}
	}
	b.err = s.failed
}

// advance lets the module's worker do its part of a step and sends its numbers on their way. A panic in it becomes an error: in
// a goroutine nobody else could catch it, and it would end the process with everything since the last checkpoint.
func (s *station) advance(in Signal, at Tick) (out Signal, stats Stats, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("internal error in module %d at step %d: %v", s.module+1, at.Step, v)
		}
	}()
	out, stats, err = s.chain.Worker(s.module).Advance(in, at)
	if err != nil {
		return out, stats, err
	}
	defer torch.Catch(&err)
	depart([]Stats{stats})
	return out, stats, nil
}
