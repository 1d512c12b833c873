package dist

/*
#include <stdlib.h>
#include "dist.h"
*/
import "C"

import (
	"cmp"
	"fmt"
	"time"
	"unsafe"

	"github.com/locus-learn/locus/torch"
)

// identity is that of a communicator, which its ranks must know to meet.
type identity [C.DIST_NCCL_ID]byte

func newIdentity(l *library) (id identity, err error) {
	err = refused("join", C.dist_nccl_id(l.handle, unsafe.Pointer(&id)))
	return id, err
}

// communicator is NCCL's. What ranks do in one is done in the same order by all of them, and one after the other.
type communicator struct {
	of     *nccl
	handle C.dist_comm
	queue  []*transfer // waiting to be handed to NCCL; the first one is with it. Guarded by the group's mutex
}

// meet waits until all ranks of a communicator have come.
func (g *nccl) meet(id identity, rank, size int) (*communicator, error) {
	c, within := &communicator{of: g}, cmp.Or(g.place.Meeting, g.timeout)
	met := make(chan error, 1)
	go func() { // NCCL waits without end for a rank that does not come
		met <- refused("join", C.dist_nccl_join(g.library.handle, unsafe.Pointer(&id), C.int(rank), C.int(size), C.int(g.place.Device), &c.handle))
	}()
	select {
	case err := <-met:
		if err != nil {
			return nil, err
		}
	case <-g.closed:
		return nil, g.reason()
	case <-time.After(within):
		return nil, fmt.Errorf("dist: %d ranks did not meet in NCCL within %v", size, within)
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.cause != nil {
		go c.leave(false, false)
		return nil, g.cause
	}
	g.communicators = append(g.communicators, c)
	return c, nil
}

// transfer is a call of NCCL's and what comes of it.
type transfer struct {
	op      string
	handle  C.dist_transfer
	began   time.Time
	call    func(C.dist_transfer) *C.char
	called  chan struct{} // closed when NCCL has taken it, or refused
	err     error         // of that; to be read then
	awaited bool          // nobody asks for it any more. Guarded by the group's mutex
}

// start hands tensors to NCCL, behind what the calling thread's stream does now. They live until they have arrived.
func (c *communicator) start(op string, ts []torch.Tensor, call func(C.dist_transfer) *C.char) (*transfer, error) {
	list := make([]C.lt_tensor, len(ts))
	for i, t := range ts {
		list[i] = raw(t)
	}
	t := &transfer{op: op, call: call, began: time.Now(), called: make(chan struct{})}
	g := c.of
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.cause != nil {
		return nil, g.cause
	}
	if err := refused(op, C.dist_nccl_prepare(c.handle, &list[0], C.int(len(list)), &t.handle)); err != nil {
		return nil, err
	}
	g.open[t] = true
	if c.queue = append(c.queue, t); len(c.queue) == 1 {
		go c.work()
	}
	return t, nil
}

// work makes the calls that are queued. NCCL may keep one waiting, such as the first of a communicator.
func (c *communicator) work() {
	g := c.of
	g.mutex.Lock()
	defer g.mutex.Unlock()
	for len(c.queue) > 0 {
		t := c.queue[0]
		if t.err = g.cause; g.cause == nil {
			g.mutex.Unlock()
			t.err = refused(t.op, t.call(t.handle))
			g.mutex.Lock()
		}
		close(t.called)
		c.queue = c.queue[1:]
	}
}

// taken waits until NCCL has taken a transfer over.
func (g *nccl) taken(t *transfer) error {
	select {
	case <-t.called:
	case <-g.closed:
		return g.reason()
	}
	if t.err != nil {
		g.mutex.Lock()
		defer g.mutex.Unlock()
		if g.cause != nil { // it came of the closing
			return g.cause
		}
	}
	return t.err
}

// passed reports whether a transfer that was taken is done. The group's mutex is held.
func (t *transfer) passed() (bool, error) {
	var done C.bool
	err := refused(t.op, C.dist_nccl_passed(t.handle, &done))
	return bool(done), err
}

// follow lets what the calling thread's stream does next come behind a transfer. Nobody waits for the card.
func (g *nccl) follow(t *transfer) error {
	if err := g.taken(t); err != nil {
		return err
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.cause != nil {
		return g.cause
	}
	t.awaited = true
	return refused(t.op, C.dist_nccl_behind(t.handle))
}

// arrive waits until a transfer is done.
func (g *nccl) arrive(t *transfer) error {
	if err := g.taken(t); err != nil {
		return err
	}
	const shortest, longest = 20 * time.Microsecond, time.Millisecond
	for pause := shortest; ; pause = min(2*pause, longest) {
		if done, err := g.arrived(t); done || err != nil {
			return err
		}
		select {
		case <-g.closed:
		case <-time.After(pause):
		}
	}
}

// arrived reports whether a transfer is done, and forgets it then.
func (g *nccl) arrived(t *transfer) (done bool, err error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.cause != nil {
		return false, g.cause
	}
	if done, err = t.passed(); done {
		delete(g.open, t)
		C.dist_nccl_forget(t.handle)
	}
	return done, err
}
