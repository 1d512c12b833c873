package torch

// #include "shim.h"
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// Peers are the processes that each have an equal part of a batch, as one of them sees it. An operation that is given them
// takes the statistics of the whole batch: it adds up sums over all parts, forward and backward. So all must do the same
// operations in the same order. Its gradients with respect to parameters are those of the part; their sum over the processes
// is that of the sum of all losses. nil is a process that has the whole batch.
type Peers struct {
	count  int
	sum    func([]float64) error
	handle cgo.Handle
}

// NewPeers returns the peers of a process, count of them with itself. sum overwrites numbers by their sums over all
// processes, the same bits on all of them; it may be called on any thread, and its error becomes one of the operation. The
// caller frees the peers when no tensor has a graph that was recorded with them.
func NewPeers(count int, sum func([]float64) error) *Peers {
	p := &Peers{count: count, sum: sum}
	p.handle = cgo.NewHandle(p)
	return p
}

// Free releases the peers.
func (p *Peers) Free() { p.handle.Delete() }

func (p *Peers) c() C.lt_peers {
	if p == nil {
		return C.lt_peers{count: 1}
	}
	return C.lt_peers{id: C.uintptr_t(p.handle), count: C.int(p.count)}
}

//export ltPeersSum
func ltPeersSum(id C.uintptr_t, values *C.double, n C.int64_t) C.int {
	p := cgo.Handle(id).Value().(*Peers)
	if p.sum(unsafe.Slice((*float64)(unsafe.Pointer(values)), int(n))) != nil {
		return 0
	}
	return 1
}
