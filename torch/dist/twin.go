package dist

import (
	"cmp"
	"errors"
	"sync"

	"github.com/locus-learn/locus/torch"
)

// Twins returns the groups of n ranks that are goroutines of this process, for tests. As over a network, a parcel waits until
// it is received.
func Twins(n int) []Group {
	h := &hub{size: n, rounds: map[int]*round{}, lanes: map[[3]int]chan Parcel{}, closed: make(chan struct{})}
	var all []Group
	for rank := range n {
		h.left = append(h.left, make(chan struct{}))
		all = append(all, &twin{hub: h, rank: rank})
	}
	return all
}

// hub is what twins have in common.
type hub struct {
	size   int
	mutex  sync.Mutex
	rounds map[int]*round         // of sums and broadcasts, by their number
	lanes  map[[3]int]chan Parcel // by sender, receiver and lane
	left   []chan struct{}        // closed when a rank has closed its group, by rank
	closed chan struct{}          // closed when the first rank has, with a cause, or all have
	cause  error                  // of the first
	gone   int                    // ranks that have closed their group without a cause
}

// round is one sum or broadcast.
type round struct {
	tensors []torch.Tensor // by rank
	came    int
	done    chan struct{}
	err     error
}

type twin struct {
	*hub
	rank    int
	next    int // number of the next round
	traffic counters
}

// Rank implements [Group].
func (t *twin) Rank() int { return t.rank }

// Size implements [Group].
func (t *twin) Size() int { return t.size }

// Traffic implements [Group].
func (t *twin) Traffic() Traffic { return t.traffic.read() }

// Sum implements [Group]: in the order of the ranks.
func (t *twin) Sum(flat torch.Tensor) Pending {
	return t.join(flat, func(ts []torch.Tensor) {
		s := ts[0].Device().Scope(torch.NoGrad)
		defer s.Close()
		sum := s.Clone(ts[0])
		if sum.DType() == torch.BFloat16 {
			sum = s.Cast(sum, torch.Float32)
		}
		for _, other := range ts[1:] {
			torch.ForeachAdd([]torch.Tensor{sum}, []torch.Tensor{s.Cast(other, sum.DType())}, 1)
		}
		for _, each := range ts {
			each.Copy(sum)
		}
	})
}

// Broadcast implements [Group].
func (t *twin) Broadcast(flat torch.Tensor, from int) Pending {
	if err := among(from, t.size); err != nil {
		return done{err}
	}
	return t.join(flat, func(ts []torch.Tensor) {
		for rank, each := range ts {
			if rank != from {
				each.Copy(ts[from])
			}
		}
	})
}

// join gives a tensor to the rank's next round. The last one to come does the work.
func (t *twin) join(flat torch.Tensor, work func([]torch.Tensor)) Pending {
	t.traffic.summed.Add(flat.Bytes())
	t.mutex.Lock()
	defer t.mutex.Unlock()
	r := t.rounds[t.next]
	if r == nil {
		r = &round{tensors: make([]torch.Tensor, t.size), done: make(chan struct{})}
		t.rounds[t.next] = r
	}
	r.tensors[t.rank] = flat
	if r.came++; r.came == t.size {
		delete(t.rounds, t.next)
		func() {
			defer torch.Catch(&r.err)
			work(r.tensors)
		}()
		close(r.done)
	}
	t.next++
	return pending{t.hub, r}
}

type pending struct {
	hub   *hub
	round *round
}

// Wait implements [Pending].
func (p pending) Wait() error {
	select {
	case <-p.round.done:
		return p.round.err
	case <-p.hub.closed:
		return p.hub.cause
	}
}

// lane returns the channel from one rank to another.
func (h *hub) lane(from, to, lane int) chan Parcel {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	key := [3]int{from, to, lane}
	if h.lanes[key] == nil {
		h.lanes[key] = make(chan Parcel)
	}
	return h.lanes[key]
}

// Send implements [Group].
func (t *twin) Send(p Parcel, to, lane int) (err error) {
	defer torch.Catch(&err)
	if err := others(to, t.rank, t.size); err != nil {
		return err
	}
	s := torch.NewScopeOn(torch.CPU, torch.NoGrad)
	defer s.Close()
	copied := Parcel{Head: append([]byte{}, p.Head...), Tensors: make([]torch.Tensor, len(p.Tensors))}
	forms := make([]form, len(p.Tensors))
	for i, x := range p.Tensors {
		if forms[i].none = !x.Defined(); forms[i].none {
			continue
		}
		var d torch.Tensor
		d, forms[i] = dense(s, x)
		copied.Tensors[i] = s.Clone(d)
	}
	if _, err := encodeHeader(forms, p.Head); err != nil {
		return err
	}
	for _, x := range copied.Tensors {
		x.Keep()
	}
	bytes := copied.WireBytes() // before it is the receiver's
	select {
	case t.lane(t.rank, to, lane) <- copied:
		t.traffic.sent.Add(bytes)
		return nil
	case <-t.left[t.rank]:
	case <-t.left[to]:
	}
	copied.Free()
	return t.reason()
}

// Receive implements [Group].
func (t *twin) Receive(from, lane int) (Parcel, error) {
	if err := others(from, t.rank, t.size); err != nil {
		return Parcel{}, err
	}
	select {
	case p := <-t.lane(from, t.rank, lane):
		t.traffic.received.Add(p.WireBytes())
		return p, nil
	case <-t.left[t.rank]:
	case <-t.left[from]:
	}
	return Parcel{}, t.reason()
}

// reason is why a rank has left.
func (h *hub) reason() error {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.cause
}

// Close implements [Group]. With a cause, what others do with this rank fails from now on, and so do sums; without one, the
// last rank to leave closes all groups.
func (t *twin) Close(cause error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	leaving := []int{t.rank}
	if cause == nil || errors.Is(cause, ErrClosed) {
		if t.gone++; t.gone < t.size {
			return
		}
		leaving = nil
		for rank := range t.size {
			leaving = append(leaving, rank)
		}
	}
	if t.cause == nil {
		t.cause = cmp.Or(cause, ErrClosed)
		close(t.closed)
	}
	for _, rank := range leaving {
		select {
		case <-t.left[rank]:
		default:
			close(t.left[rank])
		}
	}
}
