package testdevice_test

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/locus-learn/locus/internal/testdevice"
	"github.com/locus-learn/locus/torch"
)

// operations are tried on the device and on the CPU. They get x [4, 8, 6, 6], channels-last, rows [16, 8] and labels [16].
var operations = []struct {
	name string
	run  func(s *torch.Scope, x, rows, labels torch.Tensor) torch.Tensor
}{
	{"full", func(s *torch.Scope, _, _, _ torch.Tensor) torch.Tensor { return s.Full(torch.Float32, 2, 3, 2) }},
	{"from floats", func(s *torch.Scope, _, _, _ torch.Tensor) torch.Tensor { return s.FromFloats([]float32{1, 2, 3}, 3) }},
	{"from images", func(s *torch.Scope, _, _, _ torch.Tensor) torch.Tensor {
		return s.FromImages(torch.BFloat16, []byte{0, 100, 200, 255}, 1, 2, 2, 1, []float32{0.5}, []float32{0.25})
	}},
	{"normal", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor {
		y := s.ZerosLike(x)
		y.Normal(1, 2, 7)
		return y
	}},
	{"uniform", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor {
		y := s.ZerosLike(x)
		y.Uniform(-1, 2, 7)
		return y
	}},
	{"chance", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor {
		return s.ZeroedWhere(x, s.Chance(x, 0.3, 7), 2)
	}},
	{"clone", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor { return s.Clone(x) }},
	{"cast", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor { return s.Cast(x, torch.BFloat16) }},
	{"add", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor { return s.Add(x, s.Scale(x, 2), 0.5) }},
	{"add a number", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor { return s.ClampMin(s.Scale(x, 3), 0.1) }},
	{"in place", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor {
		y := s.Clone(x)
		s.AddInPlace(y, x, 2)
		s.MulInPlace(y, x)
		s.ZeroWhere(y, s.Chance(x, 0.5, 3))
		return y
	}},
	{"sum", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor { return s.Sum(x) }},
	{"mean", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor { return s.MeanDim(x, 1) }},
	{"views", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor {
		return s.Scale(s.Narrow(s.Permute(x, 0, 2, 3, 1), 1, 1, 3), 2)
	}},
	{"reshape", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor { return s.Scale(s.Reshape(x, 4, 288), 2) }},
	{"flatten", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor { return s.Flatten(x, 1) }},
	{"cat", func(s *torch.Scope, _, rows, _ torch.Tensor) torch.Tensor { return s.Cat(rows, rows, 1) }},
	{"index", func(s *torch.Scope, _, rows, labels torch.Tensor) torch.Tensor { return s.Rows(rows, labels) }},
	{"linear", func(s *torch.Scope, _, rows, _ torch.Tensor) torch.Tensor {
		return s.Linear(rows, rows, torch.Tensor{})
	}},
	{"convolution", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor {
		w := s.Full(torch.Float32, 0.1, 5, 8, 3, 3)
		return s.Conv2d(x, w, torch.Tensor{}, 2, 1)
	}},
	{"softmax", func(s *torch.Scope, _, rows, _ torch.Tensor) torch.Tensor { return s.Softmax(rows) }},
	{"cross entropy", func(s *torch.Scope, _, rows, labels torch.Tensor) torch.Tensor {
		return s.CrossEntropy(rows, labels, 0)
	}},
	{"one hot", func(s *torch.Scope, _, _, labels torch.Tensor) torch.Tensor { return s.OneHot(labels, 8) }},
	{"batch norm", func(s *torch.Scope, x, _, _ torch.Tensor) torch.Tensor {
		one, mean, variance := s.Full(torch.Float32, 1, 8), s.Full(torch.Float32, 0, 8), s.Full(torch.Float32, 1, 8)
		y := s.BatchNorm(x, one, mean, mean, variance, true, 0.1, 1e-5)
		return s.Add(y, s.Reshape(s.Add(mean, variance, 1), 1, 8, 1, 1), 1) // with what it has written there
	}},
	{"layer norm", func(s *torch.Scope, _, rows, _ torch.Tensor) torch.Tensor {
		one, zero := s.Full(torch.Float32, 1, 8), s.Full(torch.Float32, 0, 8)
		return s.LayerNorm(rows, one, zero, 1e-6)
	}},
	{"lists", func(s *torch.Scope, x, rows, _ torch.Tensor) torch.Tensor {
		a, b := s.Clone(x), s.Clone(rows)
		torch.ForeachScale([]torch.Tensor{a, b}, 2)
		torch.ForeachAdd([]torch.Tensor{a, b}, []torch.Tensor{x, rows}, -0.5)
		torch.ForeachAddProduct([]torch.Tensor{a, b}, []torch.Tensor{x, rows}, []torch.Tensor{a, b}, 0.25)
		return s.Add(a, s.Sum(b), 1)
	}},
}

// batch makes the operations' arguments on the scope's device, the same on all.
func batch(s *torch.Scope) (x, rows, labels torch.Tensor) {
	x, rows = s.Full(torch.Float32, 0, 4, 8, 6, 6), s.Full(torch.Float32, 0, 16, 8)
	x.Normal(0, 1, 1)
	rows.Normal(0, 1, 2)
	ints := make([]int64, 16)
	for i := range ints {
		ints[i] = int64(i*3) % 8
	}
	return x, rows, s.FromInts(ints)
}

func TestOperationsGiveTheBitsOfTheCPU(t *testing.T) {
	for _, tt := range operations {
		t.Run(tt.name, func(t *testing.T) {
			var results [2][]byte
			for i, device := range []torch.Device{torch.CPU, torch.TestDevice} {
				s := device.Scope(torch.NoGrad)
				defer s.Close()
				x, rows, labels := batch(s)
				y := tt.run(s, x, rows, labels)
				if y.Device() != device {
					t.Errorf("the result is on %v, not on %v", y.Device(), device)
				}
				results[i] = y.Data()
			}
			if !slices.Equal(results[0], results[1]) {
				t.Error("the bits are others than on the CPU")
			}
		})
	}
}

func TestGradientsGiveTheBitsOfTheCPU(t *testing.T) {
	var results [2][]byte
	for i, device := range []torch.Device{torch.CPU, torch.TestDevice} {
		s := device.Scope(torch.Grad)
		defer s.Close()
		x, _, _ := batch(s)
		w := s.Full(torch.Float32, 0, 8, 8, 3, 3)
		w.Normal(0, 0.1, 3)
		w.SetRequiresGrad(true)
		y := s.Tanh(s.Conv2d(x, w, torch.Tensor{}, 1, 1))
		loss := s.Sum(s.Mul(y, s.Softmax(y)))
		results[i] = s.Grad(loss, []torch.Tensor{w}, torch.GradOptions{})[0].Data()
	}
	if !slices.Equal(results[0], results[1]) {
		t.Error("the gradient's bits are others than on the CPU")
	}
}

func TestTensorsOfTwoDevicesAreRefused(t *testing.T) {
	here, there := torch.NewScope(torch.NoGrad), torch.TestDevice.Scope(torch.NoGrad)
	defer here.Close()
	defer there.Close()
	a, b := here.Full(torch.Float32, 1, 2), there.Full(torch.Float32, 1, 2)
	number := here.Full(torch.Float32, 3)
	for _, tt := range []struct {
		name    string
		refused bool
		run     func()
	}{
		{"add", true, func() { there.Add(b, a, 1) }},
		{"add the other way round", true, func() { there.Add(a, b, 1) }},
		{"add in place", true, func() { there.AddInPlace(b, a, 1) }},
		{"list", true, func() { torch.ForeachAdd([]torch.Tensor{b}, []torch.Tensor{a}, 1) }},
		{"cat", true, func() { there.Cat(a, b, 0) }},
		{"number", false, func() { there.Mul(b, number) }},
		{"copy", false, func() { b.Copy(a) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			func() {
				defer torch.Catch(&err)
				tt.run()
			}()
			if (err != nil) != tt.refused {
				t.Fatalf("refused: %v, want %v", err, tt.refused)
			}
			if want := "Expected all tensors to be on the same device"; err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

func TestItsMemoryIsOutOfReach(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() == nil {
			t.Error("the processor has read it")
		}
	}()
	address := testdevice.Address()
	t.Log(**(**float32)(unsafe.Pointer(&address)))
}

func TestCounts(t *testing.T) {
	s := torch.TestDevice.Scope(torch.NoGrad)
	defer s.Close()
	x, rows, labels := batch(s)
	w, eight := s.Full(torch.Float32, 1, 5, 8, 3, 3), s.Full(torch.Float32, 1, 8)
	for _, tt := range []struct {
		name string
		run  func()
		want string
	}{
		{"nothing", func() {}, "0 operations, 0 stalls, 0 to, 0 from"},
		{"sum", func() { s.Sum(x) }, "1 operations, 0 stalls, 0 to, 0 from"},
		{"views", func() { s.Narrow(s.Permute(x, 0, 2, 3, 1), 1, 1, 3) }, "0 operations, 0 stalls, 0 to, 0 from"},
		{"convolution", func() { s.Conv2d(x, w, torch.Tensor{}, 1, 1) }, "1 operations, 0 stalls, 0 to, 0 from"},
		{"list", func() { torch.ForeachScale([]torch.Tensor{x, rows}, 2) }, "1 operations, 0 stalls, 0 to, 0 from"},
		{"upload", func() { s.FromFloats([]float32{1, 2, 3}, 3) }, "1 operations, 0 stalls, 0 to, 12 from"},
		{"images", func() {
			s.FromImages(torch.Float32, make([]byte, 2*6*6*3), 2, 6, 6, 3, []float32{0, 0, 0}, []float32{1, 1, 1})
		}, "6 operations, 0 stalls, 0 to, 252 from"},
		{"draw", func() { rows.Normal(0, 1, 5) }, "1 operations, 0 stalls, 0 to, 512 from"},
		{"value", func() { s.Sum(x).Item() }, "2 operations, 1 stalls, 8 to, 0 from"},
		{"elements", func() { labels.Data() }, "1 operations, 1 stalls, 128 to, 0 from"},
		{"comparison", func() { rows.Equal(rows) }, "1 operations, 1 stalls, 0 to, 0 from"},
		{"layer norm", func() { s.LayerNorm(rows, eight, eight, 1e-6) }, "1 operations, 0 stalls, 0 to, 0 from"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testdevice.Take()
			tt.run()
			c := testdevice.Take()
			got := fmt.Sprintf("%d operations, %d stalls, %d to, %d from", c.Operations, c.Stalls, c.ToHost, c.FromHost)
			if got != tt.want {
				t.Errorf("%s, want %s\n%v", got, tt.want, c)
			}
			if c.FreedEarly > 0 {
				t.Errorf("memory of %d tensors could have been given away while it was read", c.FreedEarly)
			}
		})
	}
}

func TestMemoryIsCounted(t *testing.T) {
	testdevice.Take()
	before := testdevice.Take().Held
	s := torch.TestDevice.Scope(torch.NoGrad)
	a := s.Full(torch.Float32, 1, 1000)
	s.Add(a, a, 1).Free()
	if c := testdevice.Take(); c.Held != before+4000 || c.Peak != before+8000 {
		t.Errorf("%d bytes held, %d at most, want 4000 and 8000", c.Held-before, c.Peak-before)
	}
	s.Close()
	if c := testdevice.Take(); c.Held != before || c.Peak != before+4000 {
		t.Errorf("%d bytes held after all, %d at most, want 0 and 4000", c.Held-before, c.Peak-before)
	}
}
