package testdevice_test

import (
	"slices"
	"testing"

	"github.com/locus-learn/locus/internal/testdevice"
	"github.com/locus-learn/locus/torch"
)

// Constants are what the CPU makes of the numbers, in every type and shape, and travel to a device once.
func TestConstant(t *testing.T) {
	defer torch.FreeConstants()
	for _, c := range []struct {
		dtype  torch.DType
		values []float64
		shape  []int64
		want   []float64
	}{
		{torch.Float64, []float64{0.1, -2, 3}, []int64{3}, []float64{0.1, -2, 3}},
		{torch.Float32, []float64{0.1, 1e-50, 1e9}, []int64{1, 3, 1, 1}, []float64{float64(float32(0.1)), 0, 1e9}},
		{torch.BFloat16, []float64{0.1, 257}, []int64{2, 1}, []float64{0.10009765625, 256}},
		{torch.Float32, []float64{5}, nil, []float64{5}},
	} {
		for _, device := range []torch.Device{torch.CPU, torch.TestDevice} {
			s := torch.NewScopeOn(device, torch.NoGrad)
			for turn := range 3 {
				testdevice.Take()
				x := s.Constant(c.dtype, c.values, c.shape...)
				moved := testdevice.Take().FromHost
				if turn > 0 && moved != 0 {
					t.Errorf("%v of %v: sent again", c.values, c.dtype)
				}
				if got := x.Float64s(); !slices.Equal(got, c.want) || !slices.Equal(x.Shape(), append([]int64{}, c.shape...)) || x.DType() != c.dtype {
					t.Errorf("%v on %v: %v %v %v, want %v", c.values, device, x.DType(), x.Shape(), got, c.want)
				}
			}
			s.Close()
		}
	}
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	var err error
	func() {
		defer torch.Catch(&err)
		s.Constant(torch.Float32, []float64{1, 2, 3}, 2)
	}()
	if err == nil {
		t.Error("three values in a shape of two are taken")
	}
}
