package mesh

import (
	"errors"
	"fmt"
	"time"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
)

// Feed returns a rank's part of a batch: images and labels, which the caller owns.
type Feed func(epoch, batch int) (x, y torch.Tensor, err error)

// Follower is what every rank but rank 0 does: train its run of modules on what comes, as rank 0 commands.
type Follower struct {
	w      *World
	chain  *local.Chain
	crew   *crew
	feed   Feed    // of the first rank of a copy
	next   *outbox // to the rank with the next modules
	back   *outbox // to rank 0
	failed *failure
	idle   time.Time
	peak   int64 // of the bytes of tensors, while it trains
}

// Follow takes part in a run until rank 0 ends it. The chain's modules may hold anything: rank 0 gives what the run begins
// with. Feed is asked for batches where [World.FeedsItself] says so.
//
// An error is a fault where rank 0 says so; it is the same on all ranks.
func Follow(w *World, c *local.Chain, feed Feed) error {
	f := &Follower{w: w, chain: c, crew: newCrew(c, w.Shape, w.run()), feed: feed}
	if err := share(w, c, f.crew); err != nil {
		return err
	}
	if !w.last() {
		f.next = newOutbox(w.all, w.Rank+1, laneForward, 2)
	}
	f.back = newOutbox(w.all, 0, laneReply, 2)
	err := f.serve()
	if err != nil {
		err = w.explain(err)
		w.watch.fail(fmt.Errorf("%s has failed: %w", w.name(w.Rank), err))
		return err
	}
	if f.next != nil {
		f.next.close()
	}
	f.back.close()
	return nil
}

// source is the rank that commands come from: the one with the modules before, or rank 0.
func (f *Follower) source() int {
	if f.w.run() == 0 {
		return 0
	}
	return f.w.Rank - 1
}

type arrival struct {
	parcel dist.Parcel
	err    error
}

// serve obeys until the run is over. The next parcel travels while a batch is trained on.
func (f *Follower) serve() error {
	arrivals := make(chan arrival)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			p, err := f.w.all.Receive(f.source(), laneForward)
			select {
			case arrivals <- arrival{p, err}:
			case <-ended:
				p.Free()
				return
			}
			if err != nil {
				return
			}
		}
	}()
	f.idle = time.Now()
	for a := range arrivals {
		if a.err != nil {
			return f.w.explain(a.err)
		}
		m, s, err := open(a.parcel)
		if err != nil {
			return err
		}
		if f.w.Options.Link == "bf16" {
			s = widen(s, f.chain.DType)
		}
		over, err := f.obey(m, s)
		f.idle = time.Now()
		if over || err != nil {
			return err
		}
	}
	return nil
}

// obey does what a message asks for and hands it on.
func (f *Follower) obey(m message, s local.Signal) (over bool, err error) {
	var out local.Signal
	switch m.kind {
	case trains:
		out, err = f.train(&m, s)
	case drains:
		var found []record
		if found, err = f.crew.drain(); f.note(&m, found, err) || f.failed != nil { // what is left of a failed step says nothing
			err = nil
		}
	case evaluates:
		var scores []local.Score
		if out, scores, err = f.chain.EvaluateRun(f.crew.from, f.crew.end, s); err == nil {
			m.rest.Scores = append(m.rest.Scores, scoresOf(scores)...)
		}
	case swaps:
		f.crew.swap()
	case weighs:
		m.rest.Held = append(m.rest.Held, Held{f.peak, f.crew.resting()})
	case inspects:
		if name, module := f.crew.spoilt(); name != "" && m.rest.Spoilt == "" {
			m.rest.Spoilt, m.rest.Of = name, module
		}
	case fetches:
		if k := m.rest.Module - 1; k >= f.crew.from && k < f.crew.end {
			return false, f.send(m)
		}
	}
	if err != nil {
		return false, err
	}
	return m.kind == closes, f.hand(m, out)
}

// train trains on a batch and adds to the message what was found.
func (f *Follower) train(m *message, in local.Signal) (out local.Signal, err error) {
	wait := time.Since(f.idle)
	if f.failed != nil || m.rest.Failure != nil { // what follows a batch that failed is passed on untrained
		in.Free()
		f.note(m, nil, nil)
		return out, nil
	}
	if f.w.run() == 0 {
		x, y, err := f.feed(int(m.epoch), int(m.batch))
		if err != nil {
			return out, err
		}
		if in, err = f.chain.Enter(x, y, m.at.Step); err != nil {
			return out, err
		}
	}
	device := f.crew.modules()[0].Device()
	device.ResetPeak()
	out, found, err := f.crew.advance(in, m.at)
	f.peak = max(f.peak, device.Memory().Peak)
	for i := range found {
		found[i].wait = wait
	}
	if f.note(m, found, err) {
		err = nil
	}
	return out, err
}

// note adds to a message what was found, and whether training has diverged, which is told to rank 0 in order.
func (f *Follower) note(m *message, found []record, err error) (told bool) {
	m.found = append(m.found, found...)
	_, told = errors.AsType[*local.Diverged](err)
	if told && f.failed == nil {
		f.failed = failed(err)
	}
	if m.rest.Failure == nil {
		m.rest.Failure = f.failed
	}
	return told
}

// hand passes a message on, and behind the last module of the first copy to rank 0.
func (f *Follower) hand(m message, s local.Signal) error {
	p, err := m.parcel(narrow(s, f.w.Options.Link == "bf16"))
	switch {
	case err != nil:
		return err
	case f.next != nil:
		f.next.put(p)
	case f.w.copy() == 0:
		p.Free() // of a last module that was frozen
		p.Tensors = nil
		if m.kind != swaps {
			f.back.put(p)
		}
	default:
		p.Free()
	}
	return nil
}

// send replies with a tensor of a module of this rank.
func (f *Follower) send(m message) (err error) {
	defer torch.Catch(&err)
	module := f.chain.Modules()[m.rest.Module-1]
	t, k := torch.Tensor{}, m.rest.Index
	if states := module.Optim.State(); m.rest.State && k >= 0 && k < len(states) {
		t = states[k].Value
	} else if !m.rest.State && k >= 0 && k < len(module.Params) {
		t = module.Params[k].Value
	} else {
		return errMessage
	}
	s := t.Device().Scope(torch.NoGrad)
	defer s.Close()
	head, err := m.encode()
	if err != nil {
		return err
	}
	f.back.put(dist.Parcel{Head: head, Tensors: []torch.Tensor{s.Alias(t).Keep()}})
	return nil
}
