package torch_test

import (
	"math"
	"testing"

	"github.com/locus-learn/locus/torch"
)

type dots struct{ aa, ab, bb float64 }

// rowDots returns the products of rows, a sample each.
func rowDots(s *torch.Scope, a, b torch.Tensor) []dots {
	d := s.RowDots(a, b)
	aa, ab, bb := d.AA.Float64s(), d.AB.Float64s(), d.BB.Float64s()
	var all []dots
	for i := range aa {
		all = append(all, dots{aa[i], ab[i], bb[i]})
	}
	return all
}

// The products of rows are those of float64 arithmetic, and the same to the last bit wherever in memory the rows are.
func TestRowDotsWhereverTheyAre(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16, torch.Float64} {
		for _, d := range []int64{1, 15, 16, 64, 67, 1100} {
			const rows = 5
			draw := func(seed uint64) torch.Tensor {
				z := s.Full(torch.Float32, 0, rows*d)
				z.Normal(0, 1e-3, seed)
				return s.Cast(z, dtype)
			}
			a, b := draw(1), draw(2)
			room := s.Full(dtype, 0, 2*rows*d+32)
			var first []dots
			for shift := range int64(16) {
				place := func(t torch.Tensor, from int64) torch.Tensor {
					at := s.Narrow(room, 0, from, rows*d)
					at.Copy(t)
					return s.Reshape(at, rows, d)
				}
				got := rowDots(s, place(a, shift), place(b, rows*d+16+(5*shift)%16))
				if first == nil {
					first = got
				}
				for i := range got {
					if got[i] != first[i] {
						t.Fatalf("%v, %d elements, %d elements further: row %d has %v, not %v", dtype, d, shift, i, got[i], first[i])
					}
				}
			}
			x, y := a.Float64s(), b.Float64s()
			for i, got := range first {
				var want dots
				for j := int64(i) * d; j < int64(i+1)*d; j++ {
					want.aa += x[j] * x[j]
					want.ab += x[j] * y[j]
					want.bb += y[j] * y[j]
				}
				scale := math.Sqrt(want.aa * want.bb)
				for _, e := range []float64{(got.aa - want.aa) / want.aa, (got.ab - want.ab) / scale, (got.bb - want.bb) / want.bb} {
					if !(math.Abs(e) <= 1e-6) {
						t.Errorf("%v, %d elements, row %d: %+v, want %+v", dtype, d, i, got, want)
					}
				}
			}
		}
	}
}
