package torch

/*
#include "shim.h"
*/
import "C"

import (
	"slices"
	"unsafe"
)

// away is what stays known of a tensor whose elements are not in memory.
type away struct {
	dtype  DType
	shape  []int64
	device Device
}

// bytes that the elements take when they are back.
func (a *away) bytes() int64 {
	n := int64(a.dtype.Size())
	for _, d := range a.shape {
		n *= d
	}
	return n
}

// Away returns a tensor on the device whose elements are not in memory: see [Tensor.Leave]. No scope owns it.
func (d Device) Away(dtype DType, shape ...int64) Tensor {
	return Tensor{&handle{away: &away{dtype, append([]int64{}, shape...), d}}}
}

// IsAway reports whether the tensor's elements are not in memory.
func (t Tensor) IsAway() bool { return t.h != nil && t.h.away != nil }

// Leave frees the elements of a kept tensor that is cut from any graph. The handle, and every copy of it, stays good: type,
// shape, bytes and device are still told. Anything else asked of it is an error until [Tensor.Become] or [Tensor.Return]
// gives it elements. A tensor that is away already stays so.
func (t Tensor) Leave() {
	if t.IsAway() {
		return
	}
	a := &away{t.DType(), t.Shape(), t.Device()}
	C.lt_free(t.c())
	t.h.ptr, t.h.away = nil, a
}

// Become gives a tensor that is away the elements of src, which it consumes: of its type, shape and device. Whether autograd
// follows it is as it was for src.
func (t Tensor) Become(src Tensor) {
	src.Keep()
	t.h.ptr, t.h.away = src.c(), nil
	src.h.ptr = nil
}

// Return gives a tensor that is away the elements in data, contiguous and little-endian, in the layout in which [Scope.Full]
// makes a tensor of its shape. Autograd follows it if leaf.
func (t Tensor) Return(data []byte, leaf bool) {
	a := t.h.away
	s := a.device.Scope(NoGrad)
	defer s.Close()
	src := s.FromBytes(a.dtype, data, a.shape...)
	if len(a.shape) == 4 {
		flat := src
		src = s.ChannelsLast(flat)
		flat.Free()
	}
	t.Become(src.SetRequiresGrad(leaf))
}

// ReturnFrom is [Tensor.Return] of the elements that read writes into its argument. That is where they are to lie, unless
// they are rearranged from there; then it is the buffer, which grows where it is too small.
func (t Tensor) ReturnFrom(read func(elements []byte) error, buffer *[]byte, leaf bool) error {
	a := t.h.away
	if a.device == CPU && len(a.shape) != 4 {
		s := a.device.Scope(NoGrad)
		defer s.Close()
		src := s.room(a.dtype, a.shape...)
		if err := read(src.memory()); err != nil {
			return err
		}
		t.Become(src.SetRequiresGrad(leaf))
		return nil
	}
	*buffer = slices.Grow((*buffer)[:0], int(a.bytes()))[:a.bytes()]
	if err := read(*buffer); err != nil {
		return err
	}
	t.Return(*buffer, leaf)
	return nil
}

// room returns a tensor of the host whose elements are still to be written. To fill it with a number would take threads of
// its own, which then compete with those that train.
func (s *Scope) room(dtype DType, shape ...int64) Tensor {
	var out C.lt_tensor
	p, n := dims(shape)
	bytes := (&away{dtype: dtype, shape: shape}).bytes()
	check("room", C.lt_from_data(C.int(CPU), C.int(dtype), p, n, nil, C.size_t(bytes), &out))
	return s.wrap(out)
}

// memory returns the elements where they lie; nil where that is not in the host's memory, or not in row-major order.
func (t Tensor) memory() []byte {
	var p unsafe.Pointer
	if check("elements", C.lt_elements(t.c(), &p)); p == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p), t.Bytes())
}

// Elements are those of [Tensor.Data], to be read and not to be changed. They are copied, into the buffer, only where they do
// not lie in row-major order in the host's memory. They are good until the tensor changes or goes, or the buffer is used again.
func (t Tensor) Elements(buffer *[]byte) []byte {
	if m := t.memory(); m != nil {
		return m
	}
	*buffer = t.DataInto(*buffer)
	return *buffer
}

// DataInto is [Tensor.Data] into a buffer, which grows where it is too small; the result is a part of it.
func (t Tensor) DataInto(buffer []byte) []byte {
	n := int(t.Bytes())
	if cap(buffer) < n {
		buffer = make([]byte, n)
	}
	buffer = buffer[:n]
	if n > 0 {
		check("data", C.lt_to_data(t.c(), unsafe.Pointer(&buffer[0]), C.size_t(n)))
	}
	return buffer
}
