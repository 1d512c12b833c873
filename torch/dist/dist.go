// Package dist lets processes that train together talk: they add up tensors, and send each other parcels of them.
//
// A [Group] is a fixed set of ranks. There are three kinds. [Alone] is a group of one, so that nobody needs a branch for it.
// [Join] makes one over Gloo, by libtorch's c10d, for memory of the processor; tensors on a device are copied through that.
// [Twins] are ranks that are goroutines of one process, for tests.
//
// Ranks find each other by a [Store]. Nothing that Gloo sends is encrypted or authenticated: it trusts its network.
package dist

/*
#cgo CXXFLAGS: -std=c++20 -O2 -fopenmp-simd -Wno-deprecated-declarations -I/usr/include/torch/csrc/api/include
#cgo !lazyengine LDFLAGS: -ltorch_cpu -lc10 -ldl
#include <stdlib.h>
#include "dist.h"
*/
import "C"

//go:generate go run ../../scripts/forward

import (
	"errors"
	"unsafe"

	"github.com/locus-learn/locus/torch"
)

// Group is a fixed set of processes, numbered from 0. Sums and broadcasts are started in the same order by all of them; a
// parcel is received in the order in which it was sent from that rank in that lane. The first error is final: close the group.
type Group interface {
	Rank() int
	Size() int

	// Sum overwrites a contiguous tensor with the sum over all ranks, the same bits on all of them. The order of addition is
	// fixed, so a repeated run has the same bits, too. bfloat16 is added in float32. The tensor must live until it was waited
	// for.
	Sum(flat torch.Tensor) Pending
	// Broadcast overwrites a contiguous tensor with that of one rank.
	Broadcast(flat torch.Tensor, from int) Pending

	// Send returns when the parcel may be freed, which stays the caller's. It waits until the other rank receives.
	Send(p Parcel, to, lane int) error
	// Receive waits for the next parcel of a rank in a lane. The caller owns its tensors.
	Receive(from, lane int) (Parcel, error)

	// Traffic is what this rank has handed to the network and taken from it so far.
	Traffic() Traffic
	// Close ends the group: who waits in it returns with the cause, as far as the engine can be woken. It may be called again
	// and from any goroutine; the first cause stays.
	Close(cause error)
}

// Pending is a sum or broadcast under way.
type Pending interface {
	// Wait returns when the tensor has its new value. It may be called once.
	Wait() error
}

// Traffic counts bytes without what the engine adds in front of its packets.
type Traffic struct {
	Sent, Received int64 // of parcels: [Parcel.WireBytes] each
	Summed         int64 // of tensors given to Sum and Broadcast
}

// ErrClosed is the cause where none was given.
var ErrClosed = errors.New("the group of processes was closed")

// HasGloo reports whether this program was built with Gloo.
func HasGloo() bool { return bool(C.dist_has_gloo()) }

// refused returns the error that a message stands for.
func refused(op string, message *C.char) error {
	if message == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(message))
	return torch.Refusal(op, C.GoString(message))
}

// raw returns a tensor as C functions take it.
func raw(t torch.Tensor) C.lt_tensor { return C.lt_tensor(t.Handle()) }

// owned calls a function that makes a tensor. It panics as operations of package torch do.
func owned(s *torch.Scope, op string, f func(out *C.lt_tensor) *C.char) torch.Tensor {
	var out C.lt_tensor
	if err := refused(op, f(&out)); err != nil {
		panic(err)
	}
	return s.Own(unsafe.Pointer(out))
}
