package torch_test

import (
	"testing"

	"github.com/locus-learn/locus/torch"
)

// Data and FromBytes carry values and shape, in row-major order, and forget that a tensor was channels-last.
func TestBytesAreRowMajor(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	values := make([]float32, 2*3*4*5)
	for i := range values {
		values[i] = float32(i)
	}
	shape := []int64{2, 3, 4, 5}
	plain := s.FromFloats(values, shape...)
	last := s.ChannelsLast(plain)
	if string(last.Data()) != string(plain.Data()) {
		t.Error("the bytes of a channels-last tensor are in another order")
	}
	back := s.FromBytes(torch.Float32, last.Data(), shape...)
	if !back.Equal(plain) {
		t.Error("the values have changed")
	}
	into := s.ZerosLike(last)
	into.Copy(back)
	if !into.Equal(last) {
		t.Error("a copy into a channels-last tensor has other values")
	}
	for v, tt := range []torch.Tensor{plain, last, back, into} { // float64s, by another way
		if got := tt.Float64s(); got[1] != 1 || got[119] != 119 {
			t.Errorf("tensor %d begins %v", v, got[:3])
		}
	}
}

// Integers are ids, and stay what they are: bfloat16 has no 257.
func TestFeaturesLeavesIntegers(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	ids := s.FromInts([]int64{0, 255, 256, 257, 30521})
	for _, dtype := range []torch.DType{torch.BFloat16, torch.Float32} {
		if got := s.Features(ids, dtype); got.DType() != torch.Int64 || !got.Equal(ids) {
			t.Errorf("ids became %v %v", got.DType(), got.Float64s())
		}
		if got := s.Features(s.FromFloats([]float32{1, 2}, 2), dtype); got.DType() != dtype {
			t.Errorf("features became %v, want %v", got.DType(), dtype)
		}
	}
}
