package dist

/*
#include <stdlib.h>
#include "dist.h"
*/
import "C"

import (
	"cmp"
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/locus-learn/locus/torch"
)

// Place is how a rank of a group meets the others.
type Place struct {
	Rank, Size int
	Store      Store         // that all of them reach
	Address    string        // of this machine, as the others reach it: Gloo listens there and nowhere else
	Timeout    time.Duration // after which the engine gives up waiting for a rank that says nothing; 0: half an hour
	Meeting    time.Duration // after which NCCL gives up waiting for ranks that do not come; 0: Timeout
	Device     torch.Device  // where received tensors are put
	Engine     Engine        // none is NCCL for a card and Gloo for the processor
}

const patience = 30 * time.Minute

// gloo is a group over c10d's Gloo.
type gloo struct {
	place   Place
	group   C.dist_group
	traffic counters

	mutex sync.Mutex
	works map[C.dist_work]bool // somebody waits for these
	cause error                // why the group is closed; nil while it is not
	users sync.WaitGroup
}

// Engine moves tensors from process to process.
type Engine string

// The engines. All processes of a group have the same.
const (
	Gloo Engine = "gloo" // by way of the processor's memory
	NCCL Engine = "nccl" // from card to card, beside Gloo for all else
)

// Join waits until all ranks have come and returns their group. The caller closes it. That an engine cannot be used, on this
// rank or another one, is a fault on all of them.
func Join(p Place) (Group, error) {
	switch {
	case p.Size == 1:
		return Alone{}, nil
	case p.Engine == NCCL || p.Engine == "" && p.Device.IsCUDA():
		return joinNCCL(p)
	}
	return joinGloo(p)
}

func joinGloo(p Place) (*gloo, error) {
	store := cgo.NewHandle(p.Store)
	defer store.Delete()
	address := C.CString(p.Address)
	defer C.free(unsafe.Pointer(address))
	g := &gloo{place: p, works: map[C.dist_work]bool{}}
	wait := cmp.Or(p.Timeout, patience)
	message := C.dist_join(C.uintptr_t(store), C.int(p.Rank), C.int(p.Size), address, C.int64_t(wait.Milliseconds()), &g.group)
	return g, refused("join", message)
}

// Rank implements [Group].
func (g *gloo) Rank() int { return g.place.Rank }

// Size implements [Group].
func (g *gloo) Size() int { return g.place.Size }

// Traffic implements [Group].
func (g *gloo) Traffic() Traffic { return g.traffic.read() }

// Sum implements [Group].
func (g *gloo) Sum(t torch.Tensor) Pending {
	return g.collective(t, "sum", func(t C.lt_tensor, w *C.dist_work) *C.char { return C.dist_sum(g.group, t, w) })
}

// Broadcast implements [Group].
func (g *gloo) Broadcast(t torch.Tensor, from int) Pending {
	if err := among(from, g.place.Size); err != nil {
		return done{err}
	}
	return g.collective(t, "broadcast", func(t C.lt_tensor, w *C.dist_work) *C.char {
		return C.dist_broadcast(g.group, t, C.int(from), w)
	})
}

// collective starts what all ranks do together, on a copy where Gloo cannot take the tensor as it is.
func (g *gloo) collective(t torch.Tensor, op string, f func(C.lt_tensor, *C.dist_work) *C.char) Pending {
	c := &collective{of: g, op: op, into: t, scope: torch.NewScopeOn(torch.CPU, torch.NoGrad)}
	c.sum = t
	if t.Device() != torch.CPU {
		c.sum = onHost(c.scope, t)
	}
	if t.DType() == torch.BFloat16 {
		c.sum = c.scope.Cast(c.sum, torch.Float32)
	}
	g.traffic.summed.Add(t.Bytes())
	c.work, c.err = g.start(op, func(w *C.dist_work) *C.char { return f(raw(c.sum), w) })
	return c
}

// collective is a sum or broadcast under way.
type collective struct {
	of        *gloo
	op        string
	scope     *torch.Scope // owns copies
	into, sum torch.Tensor
	work      C.dist_work
	err       error
}

// Wait implements [Pending].
func (c *collective) Wait() (err error) {
	defer c.scope.Close()
	if c.err != nil {
		return c.err
	}
	if err := c.of.finish(c.op, c.work); err != nil {
		return err
	}
	defer torch.Catch(&err)
	if c.sum != c.into {
		c.into.Copy(c.sum)
	}
	return nil
}

// start begins a piece of work unless the group is closed.
func (g *gloo) start(op string, f func(*C.dist_work) *C.char) (w C.dist_work, err error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.cause != nil {
		return nil, g.cause
	}
	if err := refused(op, f(&w)); err != nil {
		return nil, err
	}
	g.works[w] = true
	g.users.Add(1)
	return w, nil
}

// finish waits for a piece of work.
func (g *gloo) finish(op string, w C.dist_work) error {
	defer g.users.Done()
	message := C.dist_wait(w)
	g.mutex.Lock()
	defer g.mutex.Unlock()
	delete(g.works, w)
	C.dist_forget(w)
	err := refused(op, message)
	if err != nil && g.cause != nil { // it came of the closing
		return g.cause
	}
	return err
}

// Send implements [Group].
func (g *gloo) Send(p Parcel, to, lane int) error {
	return g.post(p, to, lane, func(s *torch.Scope, ts []torch.Tensor) error {
		for _, t := range ts {
			if err := g.send(onHost(s, t), to, lane); err != nil {
				return err
			}
		}
		return nil
	})
}

// send sends the bytes of a flat tensor.
func (g *gloo) send(t torch.Tensor, to, lane int) error {
	w, err := g.start("send", func(w *C.dist_work) *C.char { return C.dist_send(g.group, raw(t), C.int(to), C.int(lane), w) })
	if err != nil {
		return err
	}
	return g.finish("send", w)
}

// Receive implements [Group].
func (g *gloo) Receive(from, lane int) (Parcel, error) {
	return g.fetch(from, lane, torch.CPU, func(s *torch.Scope, ts []torch.Tensor) error {
		for _, t := range ts {
			if err := g.receive(t, from, lane); err != nil {
				return err
			}
		}
		return nil
	})
}

// receive fills a flat tensor.
func (g *gloo) receive(t torch.Tensor, from, lane int) error {
	w, err := g.start("receive", func(w *C.dist_work) *C.char {
		return C.dist_receive(g.group, raw(t), C.int(from), C.int(lane), w)
	})
	if err != nil {
		return err
	}
	return g.finish("receive", w)
}

// Close implements [Group]. A sum under way ends when its connections do: the others see them closed when this process ends.
func (g *gloo) Close(cause error) {
	g.mutex.Lock()
	if g.cause != nil {
		g.mutex.Unlock()
		return
	}
	g.cause = cmp.Or(cause, ErrClosed)
	for w := range g.works {
		C.dist_abort(w)
	}
	g.mutex.Unlock()
	go func() { // nobody may wait in a group that is gone
		g.users.Wait()
		C.dist_leave(g.group)
	}()
}

// counters count traffic.
type counters struct{ sent, received, summed atomic.Int64 }

func (c *counters) read() Traffic {
	return Traffic{Sent: c.sent.Load(), Received: c.received.Load(), Summed: c.summed.Load()}
}
