package torch

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"unsafe"
)

// Graph is work of a device that was recorded once. Launching it costs the processor as much as one operation, where doing
// the same work anew costs as much as all its operations. It reads and writes the tensors that it was recorded with, where they
// were: who launches it keeps those that it does not make itself, and writes new values into its inputs. What it makes is its
// own, whether its tensors were freed meanwhile or not, until Free.
type Graph struct{ ptr C.lt_graph }

// Record runs work, and what that gives to the device is recorded in place of being done. The error is a [*Error]: of a device
// that does not record, or of work that waits for the device or brings numbers from the host, which would be the same in each
// launch. Then nothing has been done. Other goroutines may compute meanwhile, but not record.
func (d Device) Record(work func()) (graph *Graph, err error) {
	return d.RecordBeside(nil, work)
}

// RecordBeside is [Device.Record] of work that uses the memory of another graph, which is of the same device, or nil: what either
// has made is garbage once the other was launched.
func (d Device) RecordBeside(other *Graph, work func()) (graph *Graph, err error) {
	defer Pin()()
	defer Catch(&err)
	var beside C.lt_graph
	if other != nil {
		beside = other.ptr
	}
	g := &Graph{}
	check("record", C.lt_graph_begin(C.int(d), beside, &g.ptr))
	recording := true
	end := func() *C.char {
		recording = false
		return C.lt_graph_end(g.ptr)
	}
	defer func() {
		if recording { // work has panicked
			if text := end(); text != nil {
				C.free(unsafe.Pointer(text))
			}
		}
		if graph == nil {
			g.Free()
		}
	}()
	work()
	check("record", end())
	return g, nil
}

// Records says why the device does not record: see [Device.Record].
func (d Device) Records() error {
	if why := takeString(C.lt_records(C.int(d))); why != "" {
		return errors.New(why)
	}
	return nil
}

// Launch does the recorded work, behind what the device has been given before. It does not wait.
func (g *Graph) Launch() { check("launch", C.lt_graph_launch(g.ptr)) }

// Free releases the graph and the memory that it works in. It may be called again.
func (g *Graph) Free() {
	if g.ptr != nil {
		C.lt_graph_free(g.ptr)
		g.ptr = nil
	}
}
