package torch

/*
#include "shim.h"
*/
import "C"

// Product is the linear map of a weight layer: a convolution where the weight has four dimensions, else x wᵀ, for which
// stride and padding mean nothing.
type Product struct {
	Stride, Padding int64

	Remake bool // see [Scope.ProductRemaking]
}

// Apply returns the product of x and w, plus b, which may be no tensor.
func (l Product) Apply(s *Scope, x, w, b Tensor) Tensor {
	switch {
	case l.Remake:
		return s.ProductRemaking(x, w, b, l.Stride, l.Padding)
	case len(w.Shape()) == 4:
		return s.Conv2d(x, w, b, l.Stride, l.Padding)
	default:
		return s.Linear(x, w, b)
	}
}

// ToInput returns wᵀ dy, the adjoint of the product in x: shaped as x, of which it needs no elements. Unrecorded.
func (l Product) ToInput(s *Scope, dy, x, w Tensor) Tensor {
	return s.unary("product's adjoint", func(_ C.bool, out *C.lt_tensor) *C.char {
		return C.lt_product_to_input(dy.c(), x.c(), w.c(), C.int64_t(l.Stride), C.int64_t(l.Padding), out)
	})
}

// ToWeight returns dy xᵀ, the adjoint of the product in w: shaped as w, of which it needs no elements. Where a bias is
// asked for, its gradient, the sum of dy, comes second. Unrecorded.
func (l Product) ToWeight(s *Scope, dy, x, w Tensor, bias bool) (dw, db Tensor) {
	var weight, sum C.lt_tensor
	at := &sum
	if !bias {
		at = nil
	}
	check("product's adjoint", C.lt_product_to_weight(dy.c(), x.c(), w.c(), C.int64_t(l.Stride), C.int64_t(l.Padding), &weight, at))
	if bias {
		db = s.wrap(sum)
	}
	return s.wrap(weight), db
}

// Feedback returns the product of x and w, plus b, which may be no tensor. In the backward pass feedback, shaped as w,
// takes w's place for the gradient of x (Lillicrap et al. 2016).
func (l Product) Feedback(s *Scope, x, w, b, feedback Tensor) Tensor {
	return s.unary("product with feedback", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_product_feedback(g, x.c(), w.c(), b.c(), feedback.c(), C.int64_t(l.Stride), C.int64_t(l.Padding), out)
	})
}
