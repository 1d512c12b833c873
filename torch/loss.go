package torch

// #include "shim.h"
import "C"

// UpsampleBilinear resizes x [N, C, H, W] to h×w; the corners of both grids lie on each other.
func (s *Scope) UpsampleBilinear(x Tensor, h, w int64) Tensor {
	return s.unary("upsample", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_upsample_bilinear(g, x.c(), C.int64_t(h), C.int64_t(w), out)
	})
}

// BinaryCrossEntropy returns the mean over all elements of −t log σ(l) − (1 − t) log(1 − σ(l)), for logits l and
// targets t in [0, 1] of one shape and type.
func (s *Scope) BinaryCrossEntropy(logits, target Tensor) Tensor {
	return s.unary("binary cross-entropy", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_binary_cross_entropy(g, logits.c(), target.c(), out)
	})
}

// NormalizeRows divides each row of x [N, D] by its L2 norm, or by floor where that is larger.
func (s *Scope) NormalizeRows(x Tensor, floor float64) Tensor {
	return s.unary("normalize rows", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_normalize_rows(g, x.c(), C.double(floor), out)
	})
}

// SupervisedContrast returns the supervised contrastive loss of unit vectors z [N, D] with labels [N] int64 at a
// temperature τ (Khosla et al. 2020, L_out): the mean over samples i of
//
//	−1/|P(i)| Σ_{p ∈ P(i)} log (exp(zᵢ·z_p/τ) / Σ_{a ≠ i} exp(zᵢ·z_a/τ)),
//
// P(i) being the other samples of i's class. Samples that are alone in their class are left out.
func (s *Scope) SupervisedContrast(z, labels Tensor, temperature float64) Tensor {
	return s.unary("supervised contrast", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_supervised_contrast(g, z.c(), labels.c(), C.double(temperature), out)
	})
}
