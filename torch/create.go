package torch

/*
#include "shim.h"
*/
import "C"

import "unsafe"

// Full returns a tensor filled with value. Four-dimensional ones are laid out channels-last.
func (s *Scope) Full(dtype DType, value float64, shape ...int64) Tensor {
	var out C.lt_tensor
	p, n := dims(shape)
	check("full", C.lt_full(C.int(s.device), C.int(dtype), p, n, C.double(value), C.bool(len(shape) == 4), &out))
	return s.wrap(out)
}

// FromBytes copies little-endian elements in row-major order into a new tensor, which is laid out in that order, too, whatever
// layout a tensor had that [Tensor.Data] took them from: [Scope.ChannelsLast] or [Tensor.Copy] into a tensor that is
// channels-last brings that back. len(data) must be what the shape needs.
func (s *Scope) FromBytes(dtype DType, data []byte, shape ...int64) Tensor {
	var out C.lt_tensor
	p, n := dims(shape)
	check("from bytes", C.lt_from_data(C.int(s.device), C.int(dtype), p, n,
		unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data)), &out))
	return s.wrap(out)
}

// FromFloats copies float32 elements into a new tensor.
func (s *Scope) FromFloats(data []float32, shape ...int64) Tensor {
	return s.FromBytes(Float32, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 4*len(data)), shape...)
}

// FromDoubles copies float64 elements into a new tensor.
func (s *Scope) FromDoubles(data []float64, shape ...int64) Tensor {
	return s.FromBytes(Float64, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 8*len(data)), shape...)
}

// FromInts copies int64 elements, class labels for instance, into a new tensor of one dimension.
func (s *Scope) FromInts(data []int64) Tensor {
	return s.FromBytes(Int64, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 8*len(data)), int64(len(data)))
}

// Constant returns values of a floating type in a shape, for the likes of means and weights that a computation takes at every
// step. Nobody may write to it. A device keeps the last few dozen that it was sent until [FreeConstants], so that steps wait
// for none and can be recorded.
func (s *Scope) Constant(dtype DType, values []float64, shape ...int64) Tensor {
	var out C.lt_tensor
	p, n := dims(shape)
	check("constant", C.lt_constant(C.int(s.device), C.int(dtype), p, n,
		(*C.double)(unsafe.SliceData(values)), C.size_t(len(values)), &out))
	return s.wrap(out)
}

// FromImages turns pixels [n, h, w, c] into a channels-last tensor [n, c, h, w] of (pixel/255 − mean)/std.
// mean and std have one value a channel; dtype is a floating type.
func (s *Scope) FromImages(dtype DType, pixels []byte, n, h, w, c int, mean, std []float32) Tensor {
	if len(pixels) != n*h*w*c || len(mean) != c || len(std) != c {
		panic(&Error{Op: "from images", Text: "pixels, mean or std do not fit the shape"})
	}
	var out C.lt_tensor
	check("from images", C.lt_from_images(C.int(s.device), C.int(dtype),
		(*C.uint8_t)(unsafe.SliceData(pixels)), C.int64_t(n), C.int64_t(h), C.int64_t(w), C.int64_t(c),
		(*C.float)(unsafe.SliceData(mean)), (*C.float)(unsafe.SliceData(std)), &out))
	return s.wrap(out)
}

// Alias returns a second handle on the same tensor, graph included.
func (s *Scope) Alias(t Tensor) Tensor {
	var out C.lt_tensor
	check("alias", C.lt_alias(t.c(), &out))
	return s.wrap(out)
}

// Detach returns a handle on the same elements, cut from the graph.
func (s *Scope) Detach(t Tensor) Tensor {
	var out C.lt_tensor
	check("detach", C.lt_detach(t.c(), &out))
	return s.wrap(out)
}

// ZerosLike returns zeros of t's shape, type and layout.
func (s *Scope) ZerosLike(t Tensor) Tensor {
	var out C.lt_tensor
	check("zeros like", C.lt_zeros_like(t.c(), &out))
	return s.wrap(out)
}

// Clone copies t.
func (s *Scope) Clone(t Tensor) Tensor {
	var out C.lt_tensor
	check("clone", C.lt_clone(C.bool(s.grad), t.c(), &out))
	return s.wrap(out)
}

// Cast converts t to dtype; where it already has it, the result is an alias.
func (s *Scope) Cast(t Tensor, dtype DType) Tensor {
	var out C.lt_tensor
	check("cast", C.lt_cast(C.bool(s.grad), t.c(), C.int(dtype), &out))
	return s.wrap(out)
}

// Features converts activations to dtype, as Cast does. Integers stay as they are: they are ids, of tokens for instance, which
// a layer looks up, and bfloat16 would run those above 256 together.
func (s *Scope) Features(t Tensor, dtype DType) Tensor {
	if t.DType() == Int64 {
		return s.Alias(t)
	}
	return s.Cast(t, dtype)
}

// ChannelsLast lays a four-dimensional tensor out channels-last; where it is, the result is an alias.
func (s *Scope) ChannelsLast(t Tensor) Tensor {
	var out C.lt_tensor
	check("channels_last", C.lt_channels_last(C.bool(s.grad), t.c(), &out))
	return s.wrap(out)
}

// Normal fills t in place from N(mean, std²), by a generator seeded for this call alone.
func (t Tensor) Normal(mean, std float64, seed uint64) {
	check("normal", C.lt_normal_(t.c(), C.double(mean), C.double(std), C.uint64_t(seed)))
}

// Uniform fills t in place from [low, high), by a generator seeded for this call alone.
func (t Tensor) Uniform(low, high float64, seed uint64) {
	check("uniform", C.lt_uniform_(t.c(), C.double(low), C.double(high), C.uint64_t(seed)))
}

// Chance returns a mask of t's shape, each element of which is true with probability p, by a generator seeded for this
// call alone.
func (s *Scope) Chance(t Tensor, p float64, seed uint64) Tensor {
	var out C.lt_tensor
	check("chance", C.lt_chance(t.c(), C.double(p), C.uint64_t(seed), &out))
	return s.wrap(out)
}
