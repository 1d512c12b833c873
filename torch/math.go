package torch

// #include "shim.h"
import "C"

// Add returns a + alpha·b, broadcasting.
func (s *Scope) Add(a, b Tensor, alpha float64) Tensor {
	return s.unary("add", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_add(g, a.c(), b.c(), C.double(alpha), out) })
}

// Mul returns the elementwise product, broadcasting.
func (s *Scope) Mul(a, b Tensor) Tensor {
	return s.unary("mul", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_mul(g, a.c(), b.c(), out) })
}

// Div returns the elementwise quotient, broadcasting.
func (s *Scope) Div(a, b Tensor) Tensor {
	return s.unary("div", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_div(g, a.c(), b.c(), out) })
}

// Scale returns factor·a.
func (s *Scope) Scale(a Tensor, factor float64) Tensor {
	return s.unary("scale", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_scale(g, a.c(), C.double(factor), out) })
}

// Sqrt returns the elementwise root.
func (s *Scope) Sqrt(a Tensor) Tensor {
	return s.unary("sqrt", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_sqrt(g, a.c(), out) })
}

// ClampMin returns max(a, low) elementwise.
func (s *Scope) ClampMin(a Tensor, low float64) Tensor {
	return s.unary("clamp_min", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_clamp_min(g, a.c(), C.double(low), out) })
}

// ClampMax returns min(a, high) elementwise.
func (s *Scope) ClampMax(a Tensor, high float64) Tensor {
	return s.unary("clamp_max", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_clamp_max(g, a.c(), C.double(high), out) })
}

// Max returns the largest element, unrecorded; NaN where there is one.
func (s *Scope) Max(a Tensor) Tensor {
	return s.unary("max", func(_ C.bool, out *C.lt_tensor) *C.char { return C.lt_max(a.c(), out) })
}

// Sum returns the sum of all elements.
func (s *Scope) Sum(a Tensor) Tensor {
	return s.unary("sum", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_sum(g, a.c(), out) })
}

// MeanDim averages over dimension dim, which goes.
func (s *Scope) MeanDim(a Tensor, dim int64) Tensor {
	return s.unary("mean", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_mean_dim(g, a.c(), C.int64_t(dim), out) })
}

// SumRows sums a [N, D] over D and returns [N, 1].
func (s *Scope) SumRows(a Tensor) Tensor {
	return s.unary("sum rows", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_sum_rows(g, a.c(), out) })
}

// IsZero returns the mask a = 0 as bool.
func (s *Scope) IsZero(a Tensor) Tensor {
	return s.unary("is zero", func(_ C.bool, out *C.lt_tensor) *C.char { return C.lt_is_zero(a.c(), out) })
}

// MulInPlace overwrites a with a·b, broadcasting b.
func (s *Scope) MulInPlace(a, b Tensor) { check("mul", C.lt_mul_(C.bool(s.grad), a.c(), b.c())) }

// ZeroedWhere returns scale·a, and zero where mask holds.
func (s *Scope) ZeroedWhere(a, mask Tensor, scale float64) Tensor {
	return s.unary("zero where", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_zero_where(g, a.c(), mask.c(), C.double(scale), out)
	})
}

// ZeroWhere overwrites a by zero where mask holds.
func (s *Scope) ZeroWhere(a, mask Tensor) {
	check("zero where", C.lt_zero_where_(C.bool(s.grad), a.c(), mask.c()))
}

// AddInPlace overwrites a with a + alpha·b.
func (s *Scope) AddInPlace(a, b Tensor, alpha float64) {
	check("add", C.lt_add_(C.bool(s.grad), a.c(), b.c(), C.double(alpha)))
}

// Increment adds value to every element, unrecorded.
func (t Tensor) Increment(value float64) {
	check("increment", C.lt_add_scalar_(t.c(), C.double(value)))
}

// Norm returns the L2 norm of all elements.
func (t Tensor) Norm() float64 {
	var v C.double
	check("norm", C.lt_norm(t.c(), &v))
	return float64(v)
}
