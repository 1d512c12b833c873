package torch

// #include "shim.h"
import "C"

// Reshape returns x's elements in row-major order under another shape, in which one size may be −1. Where the layout
// allows it the result is a view.
func (s *Scope) Reshape(x Tensor, shape ...int64) Tensor {
	p, n := dims(shape)
	return s.unary("reshape", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_reshape(g, x.c(), p, n, out) })
}

// Permute returns a view of x whose i-th dimension is x's order[i]-th.
func (s *Scope) Permute(x Tensor, order ...int64) Tensor {
	p, n := dims(order)
	return s.unary("permute", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_permute(g, x.c(), p, n, out) })
}

// Expand returns a view of x with dimensions of size 1 repeated to the shape; −1 leaves a size alone.
func (s *Scope) Expand(x Tensor, shape ...int64) Tensor {
	p, n := dims(shape)
	return s.unary("expand", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_expand(g, x.c(), p, n, out) })
}

// Narrow returns the view of length elements of dimension dim from start on.
func (s *Scope) Narrow(x Tensor, dim, start, length int64) Tensor {
	return s.unary("narrow", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_narrow(g, x.c(), C.int64_t(dim), C.int64_t(start), C.int64_t(length), out)
	})
}

// Cat joins a and b along dimension dim.
func (s *Scope) Cat(a, b Tensor, dim int64) Tensor {
	return s.unary("cat", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_cat(g, a.c(), b.c(), C.int64_t(dim), out) })
}

// Rows returns the rows of x [R, …] that index [M] int64 names.
func (s *Scope) Rows(x, index Tensor) Tensor {
	return s.unary("index_select", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_index_select(g, x.c(), index.c(), out)
	})
}
