package torch

import (
	"math"
	"slices"
	"testing"
)

// onDevice returns a number that is treated as one that lies on another device.
func onDevice(s *Scope, v float64) Number { return Number{tensor: s.Double(v)} }

// What a number does is the same whether the host knows it or a device has it.
func TestNumbersActAlikeKnownOrNot(t *testing.T) {
	s := NewScope(NoGrad)
	defer s.Close()
	for _, v := range []float64{1, 0.3, 0, -2} {
		var known, late [][]float64
		for _, run := range []struct {
			number Number
			out    *[][]float64
		}{{Known(v), &known}, {onDevice(s, v), &late}} {
			a, b := []Tensor{s.FromFloats([]float32{1, 2, 3}, 3)}, []Tensor{s.FromFloats([]float32{4, -5, 6}, 3)}
			ForeachScaleBy(a, run.number)
			*run.out = append(*run.out, a[0].Float64s())
			ForeachAddBy(a, b, run.number)
			*run.out = append(*run.out, a[0].Float64s())
			if v >= 0 {
				z := s.Full(Float32, 0, 40)
				z.NormalBy(run.number, 3)
				*run.out = append(*run.out, z.Float64s())
			}
		}
		for i := range known {
			for j := range known[i] {
				if d := math.Abs(known[i][j] - late[i][j]); d > 1e-6*math.Abs(known[i][j]) {
					t.Errorf("by %v: result %d has %v known and %v late", v, i, known[i], late[i])
					break
				}
			}
		}
	}
}

func TestNumbersOfTheCPUAreKnown(t *testing.T) {
	s := NewScope(NoGrad)
	defer s.Close()
	n := s.Number(s.Full(Float32, 2.5))
	if v, known := n.Value(); v != 2.5 || !known || n.Wait() != 2.5 || n.Tensor().Defined() {
		t.Errorf("%v, known %v", v, known)
	}
	if v, known := onDevice(s, 3).Value(); known || onDevice(s, 3).Wait() != 3 {
		t.Errorf("a number on a device is %v, known %v", v, known)
	}
}

func TestReductions(t *testing.T) {
	s := NewScope(NoGrad)
	defer s.Close()
	// In another order the large ones would swallow the small ones.
	ordered := s.FromDoubles([]float64{1e16, -1e16, 1, 1}, 4)
	if got := s.SumInOrder(ordered).Item(); got != 2 {
		t.Errorf("the sum in order is %v", got)
	}
	if got := s.SumInOrder(s.FromDoubles([]float64{1, 1e16, -1e16, 1}, 4)).Item(); got != 1 {
		t.Errorf("the sum in order is %v", got)
	}
	a, b := s.FromFloats([]float32{3, 4}, 2), s.FromFloats([]float32{0, -2}, 1, 2)
	if got := s.Norms([]Tensor{a, b}).Float64s(); !slices.Equal(got, []float64{5, 2}) {
		t.Errorf("norms %v", got)
	}
	if got := s.Stack([]Tensor{s.Double(7), s.Full(Int64, 3), s.Full(Float32, 0.5)}).Read().Values(); !slices.Equal(got, []float64{7, 3, 0.5}) {
		t.Errorf("stacked %v", got)
	}
	if got := s.Max(s.FromDoubles([]float64{1, math.NaN(), 3}, 3)).Item(); !math.IsNaN(got) {
		t.Errorf("the largest beside NaN is %v", got)
	}
	if got := s.ClampMax(a, 3.5).Float64s(); !slices.Equal(got, []float64{3, 3.5}) {
		t.Errorf("clamped %v", got)
	}
	factors := s.FromDoubles([]float64{2, 1}, 2)
	ForeachScaleEach([]Tensor{a, b}, factors)
	if !slices.Equal(a.Float64s(), []float64{6, 8}) || !slices.Equal(b.Float64s(), []float64{0, -2}) {
		t.Errorf("scaled %v and %v", a.Float64s(), b.Float64s())
	}
}

func TestFinite(t *testing.T) {
	s := NewScope(NoGrad)
	defer s.Close()
	good := s.Full(Float32, 1, 2)
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1} {
		got, known := s.Finite([]Tensor{good, s.Full(Float32, v, 2)}).Value()
		if finite := !math.IsNaN(got) && !math.IsInf(got, 0); !known || finite != (v == 1) {
			t.Errorf("%v: %v", v, got)
		}
	}
	if got, _ := s.Finite(nil).Value(); got != 0 {
		t.Errorf("nothing is %v", got)
	}
}

func TestReadingsAreCopies(t *testing.T) {
	s := NewScope(NoGrad)
	defer s.Close()
	x := s.FromDoubles([]float64{1, 2}, 2)
	r, given := x.Read(), x.Read()
	x.Increment(1)
	x.Free()
	if got := r.Values(); !slices.Equal(got, []float64{1, 2}) || !slices.Equal(r.Values(), got) {
		t.Errorf("read %v, then %v", got, r.Values())
	}
	given.Free()
	given.Free()
}

// What is finite is asked of each element, and not of sums, which overflow where elements are large.
func TestAllFinite(t *testing.T) {
	large := float32(3e38)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		values []float32
		want   bool
	}{
		{[]float32{}, true},
		{[]float32{1, -2, 0}, true},
		{[]float32{large, large, large}, true},
		{[]float32{-large, -large, 1}, true},
		{[]float32{large, large, inf}, false},
		{[]float32{inf, -inf}, false},
		{[]float32{0, nan}, false},
		{[]float32{large, large, nan}, false},
	} {
		for _, dtype := range []DType{Float32, Float64, BFloat16} {
			s := NewScope(NoGrad)
			a := s.Cast(s.FromFloats(c.values, int64(len(c.values))), dtype)
			whole := s.Full(dtype, 1, 3)
			for _, ts := range [][]Tensor{{a}, {a, whole}, {whole, a}} {
				if got := AllFinite(ts); got != c.want {
					t.Errorf("%v as %v: %v, want %v", c.values, dtype, got, c.want)
				}
			}
			s.Close()
		}
	}
}
