package torch

// #include "shim.h"
import "C"

// Dots holds the inner products of the rows of two tensors, one of each for every sample: [N] in float64, where the
// tensors are.
type Dots struct{ AA, AB, BB Tensor }

// RowDots returns ⟨aᵢ,aᵢ⟩, ⟨aᵢ,bᵢ⟩ and ⟨bᵢ,bᵢ⟩ for every sample i (first dimension), summed in float64 and on the CPU found
// in one reading of both tensors. Unrecorded.
func (s *Scope) RowDots(a, b Tensor) Dots {
	var aa, ab, bb C.lt_tensor
	check("row dots", C.lt_row_dots(a.c(), b.c(), &aa, &ab, &bb))
	return Dots{s.wrap(aa), s.wrap(ab), s.wrap(bb)}
}

// AddRows returns xᵢ + pᵢ·aᵢ + qᵢ·bᵢ for every sample i (first dimension), unrecorded and on the CPU in one pass. p and q
// have one coefficient a sample, in float64; no tensor for x counts as zero.
func (s *Scope) AddRows(x, a, b, p, q Tensor) Tensor {
	return s.unary("add rows", func(_ C.bool, out *C.lt_tensor) *C.char {
		return C.lt_add_rows(x.c(), a.c(), b.c(), p.c(), q.c(), out)
	})
}
