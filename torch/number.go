package torch

// #include "shim.h"
import "C"

import "math"

// Number is a number that operations have found. On the CPU it is known at once. On another device it stays there, a
// tensor, so that nobody waits for it: what depends on it goes to the device, too. The zero Number is a known 0.
type Number struct {
	value  float64
	tensor Tensor // without dimensions, float64; no tensor where the value is known
}

// Known returns a number of which the value is known.
func Known(value float64) Number { return Number{value: value} }

// Number returns the element of t as a number. It consumes t; the scope owns what is left of it.
func (s *Scope) Number(t Tensor) Number {
	defer t.Free()
	if t.Device() == CPU {
		return Known(t.Item())
	}
	return Number{tensor: s.Cast(s.Detach(t), Float64)}
}

// Value returns the value if it is known on the host.
func (n Number) Value() (value float64, known bool) { return n.value, n.tensor.h == nil }

// Wait returns the value. It waits for the device that has it.
func (n Number) Wait() float64 {
	if n.tensor.h == nil {
		return n.value
	}
	return n.tensor.Item()
}

// Tensor returns where the number lies on its device; no tensor where its value is known.
func (n Number) Tensor() Tensor { return n.tensor }

// Keep takes the number out of its scope: from here on the caller frees it.
func (n Number) Keep() Number {
	n.tensor.Keep()
	return n
}

// Free releases the number.
func (n Number) Free() { n.tensor.Free() }

// Double returns a float64 without dimensions. It lies on the CPU, and operations take it beside tensors of any device.
func (s *Scope) Double(value float64) Tensor {
	var out C.lt_tensor
	check("double", C.lt_full(C.int(CPU), C.int(Float64), nil, 0, C.double(value), false, &out))
	return s.wrap(out)
}

// SumInOrder returns the sum of all elements in float64, unrecorded: on the CPU one element after the other, so that its
// bits depend on nothing else.
func (s *Scope) SumInOrder(a Tensor) Tensor {
	return s.unary("sum", func(_ C.bool, out *C.lt_tensor) *C.char { return C.lt_sum_in_order(a.c(), out) })
}

// Norms returns the L2 norm of each tensor: [len(ts)] in float64, unrecorded. There must be a tensor.
func (s *Scope) Norms(ts []Tensor) Tensor {
	list := raw(ts)
	return s.unary("norms", func(_ C.bool, out *C.lt_tensor) *C.char {
		return C.lt_norms(&list[0], C.int(len(list)), out)
	})
}

// Stack returns tensors without dimensions as one: [len(ts)] in float64, unrecorded. There must be a tensor.
func (s *Scope) Stack(ts []Tensor) Tensor {
	list := raw(ts)
	return s.unary("stack", func(_ C.bool, out *C.lt_tensor) *C.char {
		return C.lt_stack(&list[0], C.int(len(list)), out)
	})
}

// Finite returns a number that is finite if all elements of all tensors are. On a device that is the sum of their norms.
func (s *Scope) Finite(ts []Tensor) Number {
	switch {
	case len(ts) == 0:
		return Known(0)
	case ts[0].Device() != CPU:
		norms := s.Norms(ts)
		defer norms.Free()
		return s.Number(s.SumInOrder(norms))
	case AllFinite(ts):
		return Known(0)
	}
	return Known(math.NaN())
}

// ForeachScaleBy overwrites each tensor with factor times itself.
func ForeachScaleBy(ts []Tensor, factor Number) {
	value, known := factor.Value()
	switch {
	case known && value != 1:
		ForeachScale(ts, value)
	case !known && len(ts) > 0:
		check("foreach scale", C.lt_scale_by_(&raw(ts)[0], C.int(len(ts)), factor.tensor.c()))
	}
}

// ForeachScaleEach overwrites the i-th tensor with the i-th factor times itself; factors are [len(ts)] in float64.
func ForeachScaleEach(ts []Tensor, factors Tensor) {
	switch {
	case len(ts) == 0:
	case factors.Device() == CPU:
		for i, f := range factors.Float64s() {
			ForeachScaleBy(ts[i:i+1], Known(f))
		}
	default:
		check("foreach scale", C.lt_scale_each_(&raw(ts)[0], C.int(len(ts)), factors.c()))
	}
}

// ForeachAddBy overwrites each a with a + alpha·b. What is left of b is undefined.
func ForeachAddBy(a, b []Tensor, alpha Number) {
	if value, known := alpha.Value(); known {
		ForeachAdd(a, b, value)
		return
	}
	ForeachScaleBy(b, alpha)
	ForeachAdd(a, b, 1)
}

// NormalBy overwrites t with samples of a normal distribution around 0 with the given deviation, by a generator seeded for
// this call alone.
func (t Tensor) NormalBy(deviation Number, seed uint64) {
	if value, known := deviation.Value(); known {
		t.Normal(0, value, seed)
		return
	}
	check("normal", C.lt_normal_by_(t.c(), deviation.tensor.c(), C.uint64_t(seed)))
}
