package torch

// #include "shim.h"
import "C"

// unary runs an operation of one tensor in the scope's grad mode.
func (s *Scope) unary(op string, f func(C.bool, *C.lt_tensor) *C.char) Tensor {
	var out C.lt_tensor
	check(op, f(C.bool(s.grad), &out))
	return s.wrap(out)
}

// Conv2d convolves x [N, C, H, W] with w [O, C, kh, kw]; b may be no tensor.
func (s *Scope) Conv2d(x, w, b Tensor, stride, padding int64) Tensor {
	return s.unary("conv2d", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_conv2d(g, x.c(), w.c(), b.c(), C.int64_t(stride), C.int64_t(padding), out)
	})
}

// Linear returns x wᵀ + b for x [N, …, I], w [O, I]; b may be no tensor.
func (s *Scope) Linear(x, w, b Tensor) Tensor {
	return s.unary("linear", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_linear(g, x.c(), w.c(), b.c(), out)
	})
}

// BatchNorm normalises x [N, C, …] a channel. With train it uses the batch's statistics and, where mean and var are
// tensors, moves them towards those by momentum; without, it uses mean and var.
func (s *Scope) BatchNorm(x, w, b, mean, var_ Tensor, train bool, momentum, eps float64) Tensor {
	return s.unary("batch_norm", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_batch_norm(g, x.c(), w.c(), b.c(), mean.c(), var_.c(), C.bool(train), C.double(momentum), C.double(eps), out)
	})
}

// ReLU returns max(x, 0).
func (s *Scope) ReLU(x Tensor) Tensor {
	return s.unary("relu", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_relu(g, x.c(), out) })
}

// ReLUInPlace overwrites x with max(x, 0).
func (s *Scope) ReLUInPlace(x Tensor) { check("relu", C.lt_relu_(C.bool(s.grad), x.c())) }

// GELUTangent returns the derivative of [Scope.GELU] at x along a direction of its shape.
func (s *Scope) GELUTangent(along, x Tensor) Tensor {
	return s.unary("gelu's tangent", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_gelu_tangent(g, along.c(), x.c(), out)
	})
}

// Tanh returns tanh x.
func (s *Scope) Tanh(x Tensor) Tensor {
	return s.unary("tanh", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_tanh(g, x.c(), out) })
}

// Flatten joins the dimensions from start on.
func (s *Scope) Flatten(x Tensor, start int64) Tensor {
	return s.unary("flatten", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_flatten(g, x.c(), C.int64_t(start), out) })
}

// CrossEntropy returns the mean over the batch of −Σ q log softmax(logits), where q is 1 at the label, less what
// smoothing, in [0, 1), shares out among all classes; logits [N, classes], labels [N] int64, or soft ones: [N, classes]
// probabilities in the type of the logits. With plain labels, the gradient keeps its relative accuracy however small the
// loss is.
func (s *Scope) CrossEntropy(logits, labels Tensor, smoothing float64) Tensor {
	return s.unary("cross_entropy", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_cross_entropy(g, logits.c(), labels.c(), C.double(smoothing), out)
	})
}

// CrossEntropyTangent returns the derivative of [Scope.CrossEntropy] at logits along a direction of their shape. It can
// be differentiated once, with respect to both.
func (s *Scope) CrossEntropyTangent(along, logits, labels Tensor, smoothing float64) Tensor {
	return s.unary("cross_entropy's tangent", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_cross_entropy_tangent(g, along.c(), logits.c(), labels.c(), C.double(smoothing), out)
	})
}

// Softmax normalises the last dimension.
func (s *Scope) Softmax(x Tensor) Tensor {
	return s.unary("softmax", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_softmax(g, x.c(), out) })
}

// OneHot returns float32 rows [N, classes] with a one at each label; labels [N] int64.
func (s *Scope) OneHot(labels Tensor, classes int) Tensor {
	return s.unary("one-hot", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_one_hot(g, labels.c(), C.int64_t(classes), out)
	})
}

// TopK counts, unrecorded, the rows of logits whose label is among the k highest scores: int64, without dimensions. Ties
// count against the label.
func (s *Scope) TopK(logits, labels Tensor, k int) Tensor {
	return s.unary("top-k", func(_ C.bool, out *C.lt_tensor) *C.char {
		return C.lt_topk_correct(logits.c(), labels.c(), C.int64_t(k), out)
	})
}
