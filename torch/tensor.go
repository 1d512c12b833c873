package torch

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"slices"
	"unsafe"
)

// DType is an element type.
type DType int

// The order is that of the shim.
const (
	Float32 DType = iota
	Float64
	BFloat16
	Int64
	Uint8
	Bool
	Float16 // of files only: nothing computes in it
)

// Size returns the bytes of one element.
func (d DType) Size() int { return [...]int{4, 8, 2, 8, 1, 1, 2}[d] }

func (d DType) String() string {
	return [...]string{"float32", "float64", "bfloat16", "int64", "uint8", "bool", "float16"}[d]
}

var codes = [...]string{"F32", "F64", "BF16", "I64", "U8", "BOOL", "F16"}

// Code is what files of tensors call the type, such as F32.
func (d DType) Code() string { return codes[d] }

// DTypeByCode returns the type of a code, and reports whether there is one.
func DTypeByCode(code string) (d DType, ok bool) {
	i := slices.Index(codes[:], code)
	return DType(max(0, i)), i >= 0
}

// Tensor is a handle on a libtorch tensor. The zero Tensor is "no tensor". Copies of a Tensor are the same handle.
type Tensor struct{ h *handle }

type handle struct {
	ptr   C.lt_tensor
	scope *Scope
	index int   // in scope.live
	away  *away // where the elements are not in memory: ptr is nil
}

// leave takes the handle out of its scope's list.
func (h *handle) leave() {
	if h.scope == nil {
		return
	}
	list := h.scope.live
	last := list[len(list)-1]
	list[h.index], last.index = last, h.index
	list[len(list)-1] = nil
	h.scope.live = list[:len(list)-1]
	h.scope = nil
}

func (h *handle) drop() {
	if h.ptr != nil {
		C.lt_free(h.ptr)
		h.ptr = nil
	}
	h.scope, h.away = nil, nil
}

func (s *Scope) wrap(ptr C.lt_tensor) Tensor {
	h := &handle{ptr: ptr}
	s.own(h)
	return Tensor{h}
}

// c returns the shim's handle; nil for no tensor.
func (t Tensor) c() C.lt_tensor {
	if t.h == nil {
		return nil
	}
	switch {
	case t.h.away != nil:
		panic(&Error{Op: "use", Text: "the tensor's elements are not in memory"})
	case t.h.ptr == nil:
		panic(&Error{Op: "use", Text: "the tensor was freed before"})
	}
	return t.h.ptr
}

// Defined reports whether t is a tensor that has not been freed.
func (t Tensor) Defined() bool { return t.h != nil && (t.h.ptr != nil || t.h.away != nil) }

// Free releases the handle now. Freeing no tensor, or twice, does nothing.
func (t Tensor) Free() {
	if t.h == nil {
		return
	}
	t.h.leave()
	t.h.drop()
}

// Keep takes the tensor out of its scope: from here on the caller frees it. Keeping no tensor does nothing.
func (t Tensor) Keep() Tensor {
	if t.h != nil {
		t.h.leave()
	}
	return t
}

// DType returns the element type.
func (t Tensor) DType() DType {
	if t.IsAway() {
		return t.h.away.dtype
	}
	return DType(C.lt_dtype(t.c()))
}

// Shape returns the sizes of the dimensions.
func (t Tensor) Shape() []int64 {
	if t.IsAway() {
		return append([]int64{}, t.h.away.shape...)
	}
	n := int(C.lt_dim(t.c()))
	out := make([]int64, n)
	if n > 0 {
		C.lt_sizes(t.c(), (*C.int64_t)(&out[0]))
	}
	return out
}

// Numel returns the number of elements.
func (t Tensor) Numel() int64 {
	n := int64(1)
	for _, d := range t.Shape() {
		n *= d
	}
	return n
}

// Bytes returns the bytes of the elements.
func (t Tensor) Bytes() int64 {
	if t.IsAway() {
		return t.h.away.bytes()
	}
	return int64(C.lt_nbytes(t.c()))
}

// SetRequiresGrad marks a leaf, in place, as one that autograd follows.
func (t Tensor) SetRequiresGrad(on bool) Tensor {
	check("requires_grad", C.lt_set_requires_grad(t.c(), C.bool(on)))
	return t
}

// Item returns the value of a tensor with one element.
func (t Tensor) Item() float64 {
	var v C.double
	check("item", C.lt_item(t.c(), &v))
	return float64(v)
}

// Copy overwrites t with src, whose shape must be the same; dtype, device and memory format stay t's.
func (t Tensor) Copy(src Tensor) { check("copy", C.lt_copy_(t.c(), src.c())) }

// Equal reports whether shapes and all elements are the same.
func (t Tensor) Equal(o Tensor) bool {
	var same C.bool
	check("equal", C.lt_equal(t.c(), o.c(), &same))
	return bool(same)
}

// Data copies the elements into little-endian bytes in row-major order, also those of a tensor that is channels-last: values
// and shape outlast [Scope.FromBytes], the layout in memory does not.
func (t Tensor) Data() []byte { return t.DataInto(nil) }

// Float64s copies the elements as float64, whatever the floating type.
func (t Tensor) Float64s() []float64 {
	s := t.Device().Scope(NoGrad)
	defer s.Close()
	d := s.Cast(t, Float64)
	out := make([]float64, d.Numel())
	if len(out) > 0 {
		check("float64s", C.lt_to_data(d.c(), unsafe.Pointer(&out[0]), C.size_t(8*len(out))))
	}
	return out
}

func (t Tensor) String() string {
	if !t.Defined() {
		return "Tensor(none)"
	}
	return fmt.Sprintf("Tensor(%v %v)", t.DType(), t.Shape())
}

func dims(shape []int64) (*C.int64_t, C.int) {
	if len(shape) == 0 {
		return nil, 0
	}
	return (*C.int64_t)(&shape[0]), C.int(len(shape))
}
