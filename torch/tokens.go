package torch

// #include "shim.h"
import "C"

// LayerNorm normalises the last dimension of x by its own mean and variance and applies w and b, of its size. In
// bfloat16 the statistics, w and b are float32.
func (s *Scope) LayerNorm(x, w, b Tensor, eps float64) Tensor {
	return s.unary("layer_norm", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_layer_norm(g, x.c(), w.c(), b.c(), C.double(eps), out)
	})
}

// AttentionOptions say what [Scope.Attention] attends to.
type AttentionOptions struct {
	Tokens, Heads int
	Bias          Tensor  // [Heads, Tokens, Tokens], added to the scores; may be no tensor
	Regions       []int64 // of every token of a picture's windows, one after the other: tokens of one window that are of different regions do not see each other; nil: all do
}

// Attention returns softmax(q kᵀ/√d + bias) v of every head, side by side (Vaswani et al. 2017). The rows of qkv
// [N·Tokens, 3C] hold queries, keys and values, C of each; the result is [N·Tokens, C]. Each of the N samples, which are
// windows where there are Regions, attends to itself.
//
// It keeps qkv, and the result where libtorch's fused kernel is used, but never the scores. It can be differentiated
// twice.
func (s *Scope) Attention(qkv Tensor, o AttentionOptions) Tensor {
	regions, n := dims(o.Regions)
	return s.unary("attention", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_attention(g, qkv.c(), o.Bias.c(), C.int64_t(o.Tokens), C.int64_t(o.Heads), regions, n, out)
	})
}

// MoveRows rearranges the rows of each sample of x [N, R, C]: row j of the result, [N, len(to), C], is row to[j], or
// zeros where to[j] is −1. No row may be taken twice.
func (s *Scope) MoveRows(x Tensor, to []int64) Tensor {
	p, n := dims(to)
	return s.unary("move rows", func(g C.bool, out *C.lt_tensor) *C.char { return C.lt_move_rows(g, x.c(), p, n, out) })
}
