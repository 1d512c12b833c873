package torch

/*
#include "shim.h"
*/
import "C"

// MaxPool2d takes the maximum of x [N, C, H, W] over k×k windows, stride apart, with padding on all sides. It returns
// which element each window chose, as an opaque constant. Given such a choice, it returns what x has there instead and
// no second tensor.
//
// A choice takes a byte a window. It takes libtorch's eight for windows beyond 16×16, and on a card where the kernels are not
// used or the channels are no multiple of eight.
func (s *Scope) MaxPool2d(x Tensor, k, stride, padding int64, choice Tensor) (y, made Tensor) {
	var out, which C.lt_tensor
	check("max_pool2d", C.lt_max_pool2d(C.bool(s.grad), x.c(), C.int64_t(k), C.int64_t(stride), C.int64_t(padding),
		choice.c(), &out, &which))
	if which != nil {
		made = s.wrap(which)
	}
	return s.wrap(out), made
}

// AdaptiveAvgPool2d averages x [N, C, H, W] into side×side cells.
func (s *Scope) AdaptiveAvgPool2d(x Tensor, side int64) Tensor {
	return s.unary("adaptive_avg_pool2d", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_adaptive_avg_pool2d(g, x.c(), C.int64_t(side), out)
	})
}

// MaxPool2dAdjoint takes dy back through a max pool that made choice from an x of this shape. Unrecorded.
func (s *Scope) MaxPool2dAdjoint(dy, choice, x Tensor, k, stride, padding int64) Tensor {
	return s.unary("max_pool2d's adjoint", func(_ C.bool, out *C.lt_tensor) *C.char {
		return C.lt_max_pool2d_adjoint(dy.c(), choice.c(), x.c(), C.int64_t(k), C.int64_t(stride), C.int64_t(padding), out)
	})
}

// AdaptiveAvgPool2dAdjoint takes dy back through the average of an x of this shape into as many cells as dy has.
// Unrecorded.
func (s *Scope) AdaptiveAvgPool2dAdjoint(dy, x Tensor) Tensor {
	return s.unary("adaptive_avg_pool2d's adjoint", func(_ C.bool, out *C.lt_tensor) *C.char {
		return C.lt_adaptive_avg_pool2d_adjoint(dy.c(), x.c(), out)
	})
}
