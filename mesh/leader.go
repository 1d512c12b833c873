package mesh

import (
	"fmt"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
)

// Leader is rank 0's [local.Learner]: it trains the first run of modules itself and leads the other ranks.
type Leader struct {
	w        *World
	chain    *local.Chain
	crew     *crew
	capacity int       // batches in flight
	next     *outbox   // to the rank with the next modules; nil where there is none
	heads    []*outbox // to the first ranks of other copies
	replies  chan reply
	flying   int
	book     book
	away     map[string]Away
	states   []Away
	err      error // the first one, for good
	closed   bool
	gone     chan struct{} // closed when nobody reads replies any more
	epoch    int
	batch    int
}

// reply is what comes from another rank of the first copy.
type reply struct {
	message
	tensor torch.Tensor
	err    error
}

// Lead makes rank 0 of a world drive a chain, whose modules hold what the run begins with: that is given to all ranks, and
// then each keeps its own modules. inFlight is how many batches may be on their way; below 1 it is one more than there are
// ranks. Every other rank calls [Follow] at the same time.
func Lead(w *World, c *local.Chain, inFlight int) (*Leader, error) {
	if inFlight < 1 {
		inFlight = w.Modules + 1
	}
	l := &Leader{w: w, chain: c, crew: newCrew(c, w.Shape, 0), capacity: inFlight, away: map[string]Away{}, book: book{modules: len(c.Modules())}}
	l.remember()
	if err := share(w, c, l.crew); err != nil {
		return nil, err
	}
	l.replies, l.gone = make(chan reply, inFlight+2), make(chan struct{})
	if w.Modules > 1 {
		l.next = newOutbox(w.all, 1, laneForward, inFlight+1)
		for rank := 1; rank < w.Modules; rank++ {
			go l.listen(rank)
		}
	}
	for copy := 1; copy < w.Data; copy++ {
		l.heads = append(l.heads, newOutbox(w.all, copy*w.Modules, laneForward, inFlight+1))
	}
	return l, nil
}

// share gives all ranks what rank 0's modules hold, and frees the modules that belong to other ranks.
func share(w *World, c *local.Chain, own *crew) error {
	var ts []torch.Tensor
	for _, m := range c.Modules() {
		for _, p := range m.Params {
			ts = append(ts, p.Value)
		}
		if m.Optim != nil {
			for _, s := range m.Optim.State() {
				ts = append(ts, s.Value)
			}
		}
	}
	if err := dist.Spread(w.all, ts, 0); err != nil {
		return w.explain(err)
	}
	for _, m := range own.modules() {
		m.Share(w.column, w.Options.SyncNorm)
	}
	own.part()
	return nil
}

// listen takes the replies of a rank.
func (l *Leader) listen(from int) {
	for {
		p, err := l.w.all.Receive(from, laneReply)
		var r reply
		if err == nil {
			var s local.Signal
			r.message, s, err = open(p)
			r.tensor = s.X
		}
		if r.err = err; err != nil {
			r.err = l.w.explain(err)
		}
		select {
		case l.replies <- r:
		case <-l.gone:
			r.tensor.Free()
			return
		}
		if err != nil || r.kind == closes {
			return
		}
	}
}

// Part is which part of every batch rank 0 is given, of how many.
func (l *Leader) Part() (part, parts int) { return l.w.Part() }

// Next says where in its epoch the next batch stands, for copies that read their own part of it.
func (l *Leader) Next(epoch, batch int) { l.epoch, l.batch = epoch, batch }

// Modules implements [local.Learner]. Modules of other ranks have no tensors: see [local.Module.Away].
func (l *Leader) Modules() []*local.Module { return l.chain.Modules() }

// Step implements [local.Learner]. It waits while as many batches are in flight as may be. The first error is final: go on
// from a checkpoint.
func (l *Leader) Step(x, y torch.Tensor, at local.Tick) ([]local.Outcome, error) {
	if err := l.wait(l.capacity - 1); err != nil {
		local.Signal{X: x, Y: y}.Free()
		return l.book.complete(), err
	}
	m := message{kind: trains, at: at, epoch: int64(l.epoch), batch: int64(l.batch)}
	if err := l.tellHeads(m); err != nil {
		return nil, l.fail(err)
	}
	l.book.begin(at)
	in, err := l.chain.Enter(x, y, at.Step)
	if err != nil {
		return nil, l.fail(err)
	}
	out, found, err := l.crew.advance(in, at)
	l.book.note(found)
	if err != nil {
		return l.book.complete(), l.fail(l.w.explain(err))
	}
	if l.next == nil {
		out.Free()
		return l.book.complete(), nil
	}
	m.found = found
	if err := l.forward(m, out); err != nil {
		return nil, l.fail(err)
	}
	l.flying++
	return l.book.complete(), l.take()
}

// forward sends a message and a signal, which it consumes, to the next rank.
func (l *Leader) forward(m message, s local.Signal) error {
	p, err := m.parcel(narrow(s, l.w.Options.Link == "bf16"))
	if err != nil {
		return err
	}
	l.next.put(p)
	return nil
}

// tellHeads sends a message to the first ranks of the other copies.
func (l *Leader) tellHeads(m message) error {
	for _, h := range l.heads {
		p, err := m.parcel(local.Signal{})
		if err != nil {
			return err
		}
		h.put(p)
	}
	return nil
}

// tell sends a command to everybody.
func (l *Leader) tell(m message) error {
	if err := l.tellHeads(m); err != nil {
		return err
	}
	if l.next == nil {
		return nil
	}
	return l.forward(m, local.Signal{})
}

// take reads the replies that have come.
func (l *Leader) take() error {
	for {
		select {
		case r := <-l.replies:
			if err := l.settle(r); err != nil {
				return err
			}
		default:
			return l.err
		}
	}
}

// wait reads replies until at most n batches are in flight.
func (l *Leader) wait(n int) error {
	for l.err == nil && l.flying > n {
		l.settle(<-l.replies)
	}
	return l.err
}

// settle books a reply about a batch.
func (l *Leader) settle(r reply) error {
	switch {
	case l.err != nil:
	case r.err != nil:
		l.fail(r.err)
	case r.rest.Failure != nil:
		l.book.note(r.found)
		l.fail(r.rest.Failure.error())
	default:
		l.book.note(r.found)
		if r.kind == trains {
			l.flying--
		}
	}
	return l.err
}

// await reads replies until one of a kind comes, which it returns.
func (l *Leader) await(k kind) (reply, error) {
	for l.err == nil {
		r := <-l.replies
		if l.settle(r); l.err == nil && r.kind == k {
			return r, nil
		}
	}
	return reply{}, l.err
}

func (l *Leader) fail(err error) error {
	if l.err == nil {
		l.err = err
	}
	return l.err
}

// Drain implements [local.Learner]: all modules of all ranks have taken all their steps then.
func (l *Leader) Drain() ([]local.Outcome, error) {
	if l.err != nil {
		return l.book.complete(), l.err
	}
	if err := l.tell(message{kind: drains}); err != nil {
		return nil, l.fail(err)
	}
	found, err := l.crew.drain()
	l.book.note(found)
	if err != nil {
		return l.book.complete(), l.fail(l.w.explain(err))
	}
	if l.next != nil {
		if _, err := l.await(drains); err != nil {
			return l.book.complete(), err
		}
	}
	return l.book.complete(), nil
}

// Evaluate implements [local.Learner], on the first copy.
func (l *Leader) Evaluate(x, y torch.Tensor) ([]local.Score, error) {
	if l.err != nil || l.flying > 0 {
		local.Signal{X: x, Y: y}.Free()
		if l.err == nil {
			return nil, fmt.Errorf("mesh: Evaluate while %d batches are in flight", l.flying)
		}
		return nil, l.err
	}
	out, scores, err := l.chain.EvaluateRun(l.crew.from, l.crew.end, local.Signal{X: x, Y: y})
	if err != nil || l.next == nil {
		return scores, err
	}
	if err := l.forward(message{kind: evaluates, rest: rest{Scores: scoresOf(scores)}}, out); err != nil {
		return nil, l.fail(err)
	}
	r, err := l.await(evaluates)
	if err != nil {
		return nil, err
	}
	scores = nil
	for _, s := range r.rest.Scores {
		scores = append(scores, s.score())
	}
	return scores, nil
}

// SwapAverages lets parameters and their averages change places on all ranks, this one's included.
func (l *Leader) SwapAverages() error {
	l.crew.swap()
	return l.tell(message{kind: swaps})
}

// Spoilt returns the name and module of a parameter of any rank that is not finite; "" if there is none.
func (l *Leader) Spoilt() (name string, module int, err error) {
	if name, module = l.crew.spoilt(); name != "" || l.next == nil {
		return name, module, l.err
	}
	if err := l.forward(message{kind: inspects}, local.Signal{}); err != nil {
		return "", 0, l.fail(err)
	}
	r, err := l.await(inspects)
	return r.rest.Spoilt, r.rest.Of, err
}

// Held returns what memory the other ranks of the first copy have needed, those with modules behind this one's. Those of other
// copies need the same.
func (l *Leader) Held() ([]Held, error) {
	if l.err != nil || l.next == nil {
		return nil, l.err
	}
	if err := l.forward(message{kind: weighs}, local.Signal{}); err != nil {
		return nil, l.fail(err)
	}
	r, err := l.await(weighs)
	return r.rest.Held, err
}

// EvaluateAll implements [local.Learner], one batch after the other.
func (l *Leader) EvaluateAll(batches []local.Signal) (all [][]local.Score, err error) {
	for _, b := range batches {
		if err != nil {
			b.Free()
			continue
		}
		var scores []local.Score
		scores, err = l.Evaluate(b.X, b.Y)
		all = append(all, scores)
	}
	return all, err
}

// Close implements [local.Learner].
func (l *Leader) Close() {
	if l.closed {
		return
	}
	l.closed = true
	close(l.gone)
	if l.err == nil {
		l.tell(message{kind: closes})
	}
	all := l.heads
	if l.next != nil {
		all = append(all, l.next)
	}
	for _, o := range all {
		if l.err == nil {
			o.close()
		} else {
			go o.close() // who receives may be gone
		}
	}
}
