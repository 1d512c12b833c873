// Package testdevice is a device for tests: whoever imports it can place tensors on [torch.TestDevice] and finds, without a
// graphics card, most of what would fail on one.
//
// Its memory cannot be touched by the processor: a kernel that reads a tensor's elements by their address ends the program
// with a segmentation fault. What goes through libtorch's operations works, by the CPU's kernels. As CUDA does, it refuses
// operations on tensors of two devices and random numbers of the CPU's generator, in CUDA's words. New tensors are full of
// garbage, and so is what was copied to the host without waiting, until somebody waits.
//
// It counts what costs time on a card: operations launched, waits of the host, bytes copied.
//
// Import it from tests alone. It is libtorch's PrivateUse1 and registers itself when the program starts.
package testdevice

/*
#cgo CXXFLAGS: -g0 -std=c++20 -O2 -I/usr/include/torch/csrc/api/include
#cgo LDFLAGS: -ltorch_cpu -lc10
#include <stdlib.h>
#include "testdevice.h"
*/
import "C"

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unsafe"
)

// Counts is what has happened on the device since it was last asked.
type Counts struct {
	Operations int            // launched: kernels and copies; views are free
	Stalls     int            // waits of the host until the device has done all it was given: values read, copies awaited
	Launched   map[string]int // operations by name
	Stalled    map[string]int // stalls by what caused them
	ToHost     int64          // bytes copied from the device
	FromHost   int64          // bytes copied to it
	Held       int64          // bytes of tensors on the device now
	Peak       int64          // the most that were held
	FreedEarly int            // tensors, since the start, whose memory another one could have got while it was still read
}

// Take returns what has happened since the last call, and starts anew.
func Take() Counts {
	var bytes C.td_bytes
	lines := C.td_take(&bytes)
	defer C.free(unsafe.Pointer(lines))
	c := Counts{
		Launched: map[string]int{}, Stalled: map[string]int{},
		ToHost: int64(bytes.to_host), FromHost: int64(bytes.from_host), Held: int64(bytes.held), Peak: int64(bytes.peak),
		FreedEarly: int(bytes.freed_early),
	}
	for line := range strings.Lines(C.GoString(lines)) {
		var name string
		var launched, stalled int
		if _, err := fmt.Sscan(line, &name, &launched, &stalled); err != nil {
			panic(fmt.Sprintf("testdevice: line %q: %v", line, err))
		}
		c.Operations += launched
		c.Stalls += stalled
		if launched > 0 {
			c.Launched[name] = launched
		}
		if stalled > 0 {
			c.Stalled[name] = stalled
		}
	}
	return c
}

// Address returns an address of the device's memory. Reading there is a segmentation fault.
func Address() uintptr { return uintptr(C.td_address()) }

// String lists the counts, operations by name, the most frequent first.
func (c Counts) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d operations, %d stalls, %d bytes to the host and %d from it, peak %d bytes",
		c.Operations, c.Stalls, c.ToHost, c.FromHost, c.Peak)
	list := func(title string, counts map[string]int) {
		names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
			return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
		})
		for i, name := range names {
			if i == 0 {
				fmt.Fprintf(&s, "\n%s:", title)
			}
			fmt.Fprintf(&s, " %s %d", name, counts[name])
		}
	}
	list("launched", c.Launched)
	list("stalled", c.Stalled)
	return s.String()
}
