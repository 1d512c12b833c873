package torch

// #include "shim.h"
import "C"

// Reading is a copy of a tensor's elements on its way to the host. The operations that find them need not have run when it
// begins; whoever asks for the values waits.
type Reading struct {
	ptr    C.lt_reading
	values []float64
}

// Read begins to copy the elements of t, as float64. It does not consume t.
func (t Tensor) Read() *Reading {
	r := &Reading{values: make([]float64, t.Numel())}
	check("read", C.lt_read_begin(t.c(), &r.ptr))
	return r
}

// Values waits for the copy, the first time, and returns it.
func (r *Reading) Values() []float64 {
	if r.ptr == nil || len(r.values) == 0 {
		return r.values
	}
	defer r.Free()
	check("read", C.lt_read_end(r.ptr, (*C.double)(&r.values[0]), C.int(len(r.values))))
	return r.values
}

// Free gives up the copy if it has not been waited for.
func (r *Reading) Free() {
	if r.ptr != nil {
		C.lt_read_free(r.ptr)
		r.ptr = nil
	}
}
