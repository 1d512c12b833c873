package dist

// #include "dist.h"
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch"
)

// nccl is a group whose tensors on a card go from card to card by NCCL. All else goes over Gloo: what is in the processor's memory,
// and the headers of parcels. So each lane has an order of its own, and who waits for a parcel can be woken.
//
// Sums and broadcasts have one communicator. Each lane from a rank to another has one of two ranks, which is made when the
// first tensors go that way: NCCL keeps the order of a communicator, and a lane must not wait for another one.
type nccl struct {
	host    *gloo // for headers and the processor's memory
	place   Place
	library *library
	all     *communicator
	timeout time.Duration
	closed  chan struct{} // when there is a cause

	mutex         sync.Mutex
	cause         error // why the group is closed; nil while it is not
	communicators []*communicator
	lanes         map[lane]*communicator
	open          map[*transfer]bool // not known to be done
}

// lane is a way of parcels.
type lane struct{ from, to, number int }

// checkEvery is how often a group asks NCCL whether something went wrong meanwhile.
const checkEvery = 100 * time.Millisecond

func joinNCCL(p Place) (Group, error) {
	host, err := joinGloo(p)
	if err != nil {
		return nil, err
	}
	g := &nccl{
		host: host, place: p, timeout: cmp.Or(p.Timeout, patience), closed: make(chan struct{}),
		lanes: map[lane]*communicator{}, open: map[*transfer]bool{},
	}
	place := p
	place.Store = Under(p.Store, "nccl")
	if err := g.assemble(place); err != nil {
		g.Close(err)
		return nil, err
	}
	go g.check()
	return g, nil
}

// assemble makes the communicator of all ranks.
func (g *nccl) assemble(p Place) (err error) {
	if g.library, err = able(p); err != nil {
		return err
	}
	const key = "id"
	if p.Rank == 0 {
		id, err := newIdentity(g.library)
		if err != nil {
			return err
		}
		if err := p.Store.Set(key, id[:]); err != nil {
			return err
		}
	}
	b, err := p.Store.Get(key)
	if err != nil {
		return err
	}
	if len(b) != len(identity{}) {
		return errHeader
	}
	if g.all, err = g.meet(identity(b), p.Rank, p.Size); err != nil {
		return fault.New("rank %d cannot join the others in NCCL: %w; NCCL_DEBUG=INFO tells more, and mesh.engine=gloo does without", p.Rank, err)
	}
	return nil
}

// Rank implements [Group].
func (g *nccl) Rank() int { return g.place.Rank }

// Size implements [Group].
func (g *nccl) Size() int { return g.place.Size }

// Traffic implements [Group].
func (g *nccl) Traffic() Traffic { return g.host.Traffic() }

// Sum implements [Group].
func (g *nccl) Sum(t torch.Tensor) Pending {
	if t.Device() != g.place.Device {
		return g.host.Sum(t)
	}
	return g.collective(t, "sum", t.DType() == torch.BFloat16, func(t C.dist_transfer) *C.char { return C.dist_nccl_sum(t) })
}

// Broadcast implements [Group].
func (g *nccl) Broadcast(t torch.Tensor, from int) Pending {
	if err := among(from, g.place.Size); err != nil {
		return done{err}
	}
	if t.Device() != g.place.Device {
		return g.host.Broadcast(t, from)
	}
	return g.collective(t, "broadcast", false, func(t C.dist_transfer) *C.char { return C.dist_nccl_broadcast(t, C.int(from)) })
}

// collective starts what all ranks do together, on a copy in float32 where sums of bfloat16 would be rounded after each addition.
func (g *nccl) collective(t torch.Tensor, op string, wide bool, call func(C.dist_transfer) *C.char) Pending {
	c := &gathering{of: g, into: t, sum: t, scope: t.Device().Scope(torch.NoGrad)}
	if wide {
		c.sum = c.scope.Cast(t, torch.Float32)
	}
	g.host.traffic.summed.Add(t.Bytes())
	c.transfer, c.err = g.all.start(op, []torch.Tensor{c.sum}, call)
	return c
}

// gathering is a sum or broadcast under way.
type gathering struct {
	of        *nccl
	scope     *torch.Scope // owns a copy
	into, sum torch.Tensor
	transfer  *transfer
	err       error
}

// Wait implements [Pending]. On a card nobody waits: what is asked of it next comes behind the sum.
func (c *gathering) Wait() (err error) {
	defer c.scope.Close()
	if c.err != nil {
		return c.err
	}
	if err := c.of.follow(c.transfer); err != nil {
		return err
	}
	defer torch.Catch(&err)
	if c.sum != c.into {
		c.into.Copy(c.sum)
	}
	return nil
}

// Send implements [Group].
func (g *nccl) Send(p Parcel, to, number int) error {
	return g.host.post(p, to, number, func(s *torch.Scope, ts []torch.Tensor) error {
		for i, t := range ts {
			_, f := dense(s, t)
			ts[i] = placed(s, t, f, g.place.Device)
		}
		return g.move(lane{g.place.Rank, to, number}, "send", ts)
	})
}

// Receive implements [Group].
func (g *nccl) Receive(from, number int) (Parcel, error) {
	return g.host.fetch(from, number, g.place.Device, func(_ *torch.Scope, ts []torch.Tensor) error {
		return g.move(lane{from, g.place.Rank, number}, "receive", ts)
	})
}

// move moves tensors along a lane and waits until they are there.
func (g *nccl) move(l lane, op string, ts []torch.Tensor) error {
	c, err := g.along(l)
	if err != nil {
		return err
	}
	out := l.from == g.place.Rank
	peer := C.int(0)
	if out {
		peer = 1
	}
	t, err := c.start(op, ts, func(t C.dist_transfer) *C.char { return C.dist_nccl_move(t, peer, C.bool(out)) })
	if err != nil {
		return err
	}
	return g.arrive(t)
}

// along returns the communicator of a lane, in which rank 0 sends to rank 1. Behind the first header its identity follows.
func (g *nccl) along(l lane) (*communicator, error) {
	g.mutex.Lock()
	c := g.lanes[l]
	g.mutex.Unlock()
	if c != nil {
		return c, nil
	}
	id, rank, err := identity{}, 0, error(nil)
	if l.from == g.place.Rank {
		if id, err = newIdentity(g.library); err == nil {
			err = g.host.say(id[:], l.to, l.number)
		}
	} else {
		var b []byte
		if b, err = g.host.hear(len(id), l.from, l.number); err == nil {
			id, rank = identity(b), 1
		}
	}
	if err != nil {
		return nil, err
	}
	if c, err = g.meet(id, rank, 2); err != nil {
		return nil, err
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.lanes[l] = c
	return c, nil
}

// check looks after what nobody waits for: a transfer that has failed meanwhile, or takes too long, ends the group.
func (g *nccl) check() {
	for {
		select {
		case <-g.closed:
			return
		case <-time.After(checkEvery):
		}
		if err := g.trouble(); err != nil {
			g.Close(err)
			return
		}
	}
}

// trouble returns what is wrong with the group, and forgets what is done.
func (g *nccl) trouble() error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.cause != nil {
		return g.cause
	}
	for _, c := range g.communicators {
		if err := refused("sum", C.dist_nccl_trouble(c.handle)); err != nil {
			return err
		}
	}
	for t := range g.open {
		done := false
		select {
		case <-t.called:
			if done = t.err != nil; !done {
				var err error
				if done, err = t.passed(); err != nil {
					return err
				}
			}
		default:
		}
		switch {
		case done && t.awaited:
			delete(g.open, t)
			C.dist_nccl_forget(t.handle)
		case !done && time.Since(t.began) > g.timeout:
			return &torch.Error{Op: t.op, Text: fmt.Sprintf("NCCL has not done it within %v", g.timeout)}
		}
	}
	return nil
}

// reason is why the group is closed.
func (g *nccl) reason() error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.cause
}

// Close implements [Group]. With a cause it gives up what is under way, on the card, too.
func (g *nccl) Close(cause error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.cause != nil {
		return
	}
	g.cause = cmp.Or(cause, ErrClosed)
	close(g.closed)
	g.host.Close(g.cause)
	for _, c := range g.communicators {
		go c.leave(errors.Is(g.cause, ErrClosed), len(c.queue) > 0)
	}
	go g.forget()
}

// leave ends a communicator. NCCL may take its time for that, and nobody waits.
func (c *communicator) leave(orderly, calling bool) {
	switch {
	case orderly && !calling:
		C.dist_nccl_leave(c.handle) // sends what is on its way
	default:
		if calling { // a call that has just begun must know the communicator before it is taken away
			time.Sleep(checkEvery)
		}
		C.dist_nccl_abort(c.handle)
	}
}

// forget frees transfers that nobody asks for any more, once NCCL has let go of them.
func (g *nccl) forget() {
	g.mutex.Lock()
	left := g.open
	g.open = nil
	g.mutex.Unlock()
	for t := range left {
		<-t.called
		C.dist_nccl_forget(t.handle)
	}
}
