package torch

// #include "shim.h"
import "C"

// ProductRemaking is [Scope.Conv2d] where w has four dimensions and [Scope.Linear] elsewhere, but does not keep an x that
// is [Tensor.Remakable] for its gradient. If nobody else has it by then, backward makes it again, bit for bit, from what the
// operation that made it keeps: less memory for one more reading of that. Until then nobody may overwrite x, and the product
// can be differentiated once.
func (s *Scope) ProductRemaking(x, w, b Tensor, stride, padding int64) Tensor {
	return s.unary("product", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_product_remaking(g, x.c(), w.c(), b.c(), C.int64_t(stride), C.int64_t(padding), out)
	})
}

// Remakable tells whether t can be made again in backward: it is what [Scope.GELU] or [Scope.LayerNorm] put out or, without
// a residual, [Scope.BatchNormAct] or its tangent, and its graph is recorded.
func (t Tensor) Remakable() bool { return bool(C.lt_remakable(t.c())) }

// GELU returns x Φ(x).
func (s *Scope) GELU(x Tensor) Tensor {
	return s.unary("gelu", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_gelu(g, x.c(), out) })
}
