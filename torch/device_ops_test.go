package torch_test

import (
	"math"
	"strings"
	"testing"

	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
)

// deviceOp is an operation on operands drawn from N(0, 1); those with four dimensions are channels-last.
type deviceOp struct {
	name     string
	operands [][]int64
	run      func(s *torch.Scope, x []torch.Tensor) torch.Tensor
}

func shapes(s ...[]int64) [][]int64 { return s }

var (
	classLabels = []int64{0, 2, 1, 2, 0, 4}
	none        torch.Tensor
)

var deviceOps = []deviceOp{
	{"conv 3x3", shapes([]int64{4, 16, 9, 9}, []int64{24, 16, 3, 3}, []int64{24}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.Conv2d(x[0], x[1], x[2], 2, 1)
	}},
	{"conv 1x1", shapes([]int64{4, 16, 8, 8}, []int64{32, 16, 1, 1}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.Conv2d(x[0], x[1], none, 1, 0)
	}},
	{"conv 7x7", shapes([]int64{2, 3, 32, 32}, []int64{16, 3, 7, 7}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.Conv2d(x[0], x[1], none, 2, 3)
	}},
	{"linear", shapes([]int64{6, 48}, []int64{20, 48}, []int64{20}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.Linear(x[0], x[1], x[2])
	}},
	{"product remaking", shapes([]int64{6, 48}, []int64{20, 48}, []int64{20}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.ProductRemaking(s.GELU(x[0]), x[1], x[2], 1, 0)
	}},
	{"product with feedback", shapes([]int64{4, 8, 6, 6}, []int64{8, 8, 3, 3}, []int64{8}, []int64{8, 8, 3, 3}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return torch.Product{Stride: 1, Padding: 1}.Feedback(s, x[0], x[1], x[2], s.Detach(x[3]))
	}},
	{"product to input", shapes([]int64{4, 8, 6, 6}, []int64{4, 6, 6, 6}, []int64{8, 6, 3, 3}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return torch.Product{Stride: 1, Padding: 1}.ToInput(s, x[0], x[1], x[2])
	}},
	{"product to weight", shapes([]int64{4, 8, 6, 6}, []int64{4, 6, 6, 6}, []int64{8, 6, 3, 3}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		dw, db := torch.Product{Stride: 1, Padding: 1}.ToWeight(s, x[0], x[1], x[2], true)
		return s.Mul(dw, s.Reshape(db, 8, 1, 1, 1))
	}},
	{"batch norm", shapes([]int64{6, 16, 5, 5}, []int64{16}, []int64{16}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.BatchNorm(x[0], x[1], x[2], none, none, true, 0.1, 1e-5)
	}},
	{"batch norm, ReLU", shapes([]int64{6, 16, 5, 5}, []int64{16}, []int64{16}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		y, _ := s.BatchNormAct(x[0], x[1], x[2], none, none, torch.NormOptions{Train: true, Eps: 1e-5, ReLU: true})
		return y
	}},
	{"batch norm, add, ReLU", shapes([]int64{6, 16, 5, 5}, []int64{16}, []int64{16}, []int64{6, 16, 5, 5}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		y, _ := s.BatchNormAct(x[0], x[1], x[2], none, none, torch.NormOptions{Train: true, Eps: 1e-5, ReLU: true, Residual: s.Alias(x[3])})
		return y
	}},
	{"batch norm, replayed", shapes([]int64{6, 16, 5, 5}, []int64{16}, []int64{16}, []int64{6, 16, 5, 5}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		o := torch.NormOptions{Train: true, Eps: 1e-5, ReLU: true, Record: true}
		_, gates := s.BatchNormAct(s.Detach(x[3]), x[1], x[2], none, none, o)
		o.Record, o.Gates = false, gates
		y, _ := s.BatchNormAct(x[0], x[1], x[2], none, none, o)
		return y
	}},
	{"batch norm in evaluation", shapes([]int64{6, 16, 5, 5}, []int64{16}, []int64{16}, []int64{16}, []int64{16}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		variance := s.Mul(s.Detach(x[4]), s.Detach(x[4]))
		y, _ := s.BatchNormAct(x[0], x[1], x[2], s.Detach(x[3]), variance, torch.NormOptions{Eps: 1e-2, ReLU: true})
		return y
	}},
	{"batch norm's tangent", shapes([]int64{6, 16, 5, 5}, []int64{6, 16, 5, 5}, []int64{16}, []int64{16}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		_, gates := s.BatchNormAct(s.Detach(x[1]), s.Detach(x[2]), s.Detach(x[3]), none, none, torch.NormOptions{Train: true, Eps: 1e-5, ReLU: true, Record: true})
		return s.BatchNormActTangent(x[0], none, x[1], x[2], gates, 1e-5, nil)
	}},
	{"relu", shapes([]int64{6, 40}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor { return s.ReLU(x[0]) }},
	{"gelu", shapes([]int64{6, 40}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor { return s.GELU(x[0]) }},
	{"gelu's tangent", shapes([]int64{6, 40}, []int64{6, 40}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.GELUTangent(s.Detach(x[0]), s.Detach(x[1]))
	}},
	{"tanh", shapes([]int64{6, 40}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor { return s.Tanh(x[0]) }},
	{"softmax", shapes([]int64{6, 10}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor { return s.Softmax(x[0]) }},
	{"max pool", shapes([]int64{4, 8, 9, 9}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		y, _ := s.MaxPool2d(x[0], 3, 2, 1, none)
		return y
	}},
	{"max pool, replayed", shapes([]int64{4, 8, 9, 9}, []int64{4, 8, 9, 9}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		_, choice := s.MaxPool2d(s.Detach(x[1]), 3, 2, 1, none)
		y, _ := s.MaxPool2d(x[0], 3, 2, 1, choice)
		return y
	}},
	{"max pool's adjoint", shapes([]int64{4, 8, 5, 5}, []int64{4, 8, 9, 9}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		_, choice := s.MaxPool2d(s.Detach(x[1]), 3, 2, 1, none)
		return s.MaxPool2dAdjoint(s.Detach(x[0]), choice, s.Detach(x[1]), 3, 2, 1)
	}},
	{"average pool", shapes([]int64{4, 8, 7, 7}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor { return s.AdaptiveAvgPool2d(x[0], 2) }},
	{"average pool's adjoint", shapes([]int64{4, 8, 1, 1}, []int64{4, 8, 7, 7}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.AdaptiveAvgPool2dAdjoint(s.Detach(x[0]), s.Detach(x[1]))
	}},
	{"layer norm", shapes([]int64{4, 7, 48}, []int64{48}, []int64{48}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.LayerNorm(x[0], x[1], x[2], 1e-6)
	}},
	{"attention", shapes([]int64{3 * 9, 3 * 32}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.Attention(x[0], torch.AttentionOptions{Tokens: 9, Heads: 4})
	}},
	{"attention with bias", shapes([]int64{4 * 4, 3 * 16}, []int64{2, 4, 4}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.Attention(x[0], torch.AttentionOptions{Tokens: 4, Heads: 2, Bias: x[1], Regions: []int64{0, 0, 0, 0, 1, 1, 2, 2}})
	}},
	{"move rows", shapes([]int64{3, 4, 8}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.MoveRows(x[0], []int64{2, -1, 0, 3, 1})
	}},
	{"rows", shapes([]int64{5, 8}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.Rows(x[0], s.FromInts([]int64{1, 4, 1}))
	}},
	{"upsample", shapes([]int64{2, 3, 4, 4}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor { return s.UpsampleBilinear(x[0], 9, 7) }},
	{"cross-entropy", shapes([]int64{6, 5}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.CrossEntropy(x[0], s.FromInts(classLabels), 0)
	}},
	{"cross-entropy, smoothed", shapes([]int64{6, 5}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.CrossEntropy(x[0], s.FromInts(classLabels), 0.1)
	}},
	{"cross-entropy's tangent", shapes([]int64{6, 5}, []int64{6, 5}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.CrossEntropyTangent(x[0], x[1], s.FromInts(classLabels), 0)
	}},
	{"binary cross-entropy", shapes([]int64{6, 5}, []int64{6, 5}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.BinaryCrossEntropy(x[0], s.Detach(s.Softmax(x[1])))
	}},
	{"supervised contrast", shapes([]int64{6, 8}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.SupervisedContrast(s.NormalizeRows(x[0], 1e-12), s.FromInts(classLabels), 0.2)
	}},
	{"one-hot", shapes([]int64{6, 5}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		return s.Mul(x[0], s.Cast(s.OneHot(s.FromInts(classLabels), 5), x[0].DType()))
	}},
	{"arithmetic", shapes([]int64{6, 5}, []int64{6, 5}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		root := s.Sqrt(s.ClampMin(s.Mul(x[0], x[0]), 0.1))
		return s.Add(s.Div(x[1], root), s.Scale(s.MeanDim(x[0], 0), 3), -0.5)
	}},
	{"shapes", shapes([]int64{2, 6, 4, 4}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		y := s.Permute(x[0], 0, 2, 3, 1)
		y = s.Cat(s.Narrow(y, 1, 0, 2), s.Narrow(y, 1, 1, 3), 1)
		return s.SumRows(s.Flatten(s.Reshape(y, 2, 5, 4, 6), 1))
	}},
	{"add rows", shapes([]int64{4, 3, 5, 5}, []int64{4, 3, 5, 5}, []int64{4, 3, 5, 5}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		p, q := s.FromDoubles([]float64{0.5, -2, 0, 3}, 4), s.FromDoubles([]float64{1, 1, -1, 0.25}, 4)
		return s.AddRows(s.Detach(x[0]), s.Detach(x[1]), s.Detach(x[2]), p, q)
	}},
	{"for each", shapes([]int64{6, 5}, []int64{6, 5}), func(s *torch.Scope, x []torch.Tensor) torch.Tensor {
		a, b := s.Clone(s.Detach(x[0])), s.Clone(s.Detach(x[1]))
		torch.ForeachScale([]torch.Tensor{a}, 0.3)
		torch.ForeachAdd([]torch.Tensor{a}, []torch.Tensor{b}, 2)
		torch.ForeachAddProduct([]torch.Tensor{a}, []torch.Tensor{b}, []torch.Tensor{b}, -1)
		squares, roots := s.Mul(b, b), s.ZerosLike(b)
		torch.ForeachRoot([]torch.Tensor{roots}, []torch.Tensor{squares}, 2, 0.1)
		torch.ForeachAddQuotient([]torch.Tensor{a}, []torch.Tensor{b}, []torch.Tensor{roots}, 0.7)
		return a
	}},
}

// results are an operation's output and its gradients, for a loss that weights every element at random.
func (o deviceOp) results(device torch.Device, dtype torch.DType) [][]float64 {
	s := torch.NewScopeOn(device, torch.Grad)
	defer s.Close()
	draw := func(seed uint64, shape ...int64) torch.Tensor {
		t := s.Full(torch.Float32, 0, shape...)
		t.Normal(0, 1, seed)
		return s.Detach(s.Cast(t, dtype))
	}
	var x []torch.Tensor
	for i, shape := range o.operands {
		x = append(x, draw(uint64(i+1), shape...).SetRequiresGrad(true))
	}
	before := torch.Recorded()
	y := o.run(s, x)
	out := [][]float64{y.Float64s()}
	if torch.Recorded() == before {
		return out
	}
	for _, g := range s.Grad(s.Sum(s.Mul(y, draw(99, y.Shape()...))), x, torch.GradOptions{}) {
		if g.Defined() {
			out = append(out, g.Float64s())
		}
	}
	return out
}

// Every operation and its gradients in float32 on the device are those of the CPU in float64.
func TestDeviceOperations(t *testing.T) {
	device := nntest.Device(t)
	for _, o := range deviceOps {
		t.Run(o.name, func(t *testing.T) {
			want, got := o.results(torch.CPU, torch.Float64), o.results(device, torch.Float32)
			if len(got) != len(want) {
				t.Fatalf("%d results, want %d", len(got), len(want))
			}
			var worst float64
			for i := range want {
				worst = max(worst, relativeDistance(got[i], want[i]))
			}
			t.Logf("worst relative error %.1e", worst)
			if !(worst <= 5e-6) {
				t.Errorf("relative error %.1e, want at most 5e-6", worst)
			}
		})
	}
}

func relativeDistance(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var d, n float64
	for i := range want {
		d += (got[i] - want[i]) * (got[i] - want[i])
		n += want[i] * want[i]
	}
	return math.Sqrt(d / max(n, math.SmallestNonzeroFloat64))
}

// What decides in Go, too: inner products, norms, counts and finiteness.
func TestDeviceReadings(t *testing.T) {
	device := nntest.Device(t)
	read := func(device torch.Device) (out []float64) {
		s := torch.NewScopeOn(device, torch.NoGrad)
		defer s.Close()
		a, b := s.Full(torch.Float32, 0, 6, 5), s.Full(torch.Float32, 0, 6, 5)
		a.Normal(0, 1, 1)
		b.Uniform(-1, 2, 2)
		d, labels := s.RowDots(a, b), s.FromInts(classLabels)
		counts := s.Stack([]torch.Tensor{s.TopK(a, labels, 1), s.TopK(a, labels, 3), s.SumInOrder(a), s.Max(b)})
		for _, found := range []torch.Tensor{d.AA, d.AB, d.BB, s.Norms([]torch.Tensor{a, b}), counts} {
			out = append(out, found.Float64s()...)
		}
		out = append(out, a.Norm(), s.Number(s.Sum(b)).Wait())
		if !torch.AllFinite([]torch.Tensor{a, b}) {
			t.Errorf("on %v finite tensors are taken for others", device)
		}
		if torch.AllFinite([]torch.Tensor{a, s.Full(torch.Float32, math.Inf(1), 3)}) {
			t.Errorf("on %v an infinity passes", device)
		}
		return out
	}
	if d := relativeDistance(read(device), read(torch.CPU)); d > 1e-6 {
		t.Errorf("they differ from the CPU's by %.1e", d)
	}
}

// A seed means the same numbers, and pixels the same values, wherever they go.
func TestDeviceDrawsAndImages(t *testing.T) {
	device := nntest.Device(t)
	pixels := make([]byte, 4*5*6*3)
	for i := range pixels {
		pixels[i] = byte(i * 7)
	}
	made := func(device torch.Device) (out [][]float64) {
		s := torch.NewScopeOn(device, torch.NoGrad)
		defer s.Close()
		normal, uniform := s.Full(torch.Float32, 0, 4, 3, 5, 5), s.Full(torch.Float32, 0, 77)
		normal.Normal(1, 2, 3)
		uniform.Uniform(-1, 1, 4)
		mean, std := []float32{0.1, 0.4914, 0.9}, []float32{0.2, 0.2470, 0.3}
		for _, x := range []torch.Tensor{
			normal, uniform, s.Chance(normal, 0.3, 5),
			s.FromImages(torch.Float32, pixels, 4, 5, 6, 3, mean, std), s.FromImages(torch.BFloat16, pixels, 4, 5, 6, 3, mean, std),
		} {
			if x.Device() != device {
				t.Errorf("a tensor is on %v, want %v", x.Device(), device)
			}
			out = append(out, x.Float64s())
		}
		return out
	}
	want := made(torch.CPU)
	for i, got := range made(device) {
		if d := relativeDistance(got, want[i]); d != 0 {
			t.Errorf("tensor %d differs by %.1e", i, d)
		}
	}
}

// What a device counts: bytes that tensors asked for, and the highest they were.
func TestDeviceMemory(t *testing.T) {
	device := nntest.Device(t)
	s := torch.NewScopeOn(device, torch.NoGrad)
	defer s.Close()
	device.ResetPeak()
	before := device.Memory()
	a := s.Full(torch.Float32, 1, 1000)
	s.Full(torch.Float32, 1, 50).Free()
	device.Synchronize()
	after := device.Memory()
	if live, peak := after.Live-before.Live, after.Peak-before.Peak; live != a.Bytes() || peak != a.Bytes()+200 {
		t.Errorf("%d bytes live, peak %d, want %d and 200 more", live, peak, a.Bytes())
	}
	if device.IsCUDA() && (after.Total < 1<<30 || after.Free <= 0 || after.Free > after.Total) {
		t.Errorf("%+v is no memory of a card", after)
	}
}

// There is never that much memory; the error says so by its kind and names the size.
func TestOutOfMemoryOnADevice(t *testing.T) {
	device := nntest.Device(t)
	var err error
	func() {
		defer torch.Catch(&err)
		torch.NewScopeOn(device, torch.NoGrad).Full(torch.Float32, 0, 1<<45)
	}()
	e, ok := err.(*torch.Error)
	if !ok || e.Kind != torch.OutOfMemory || !strings.HasPrefix(e.Shortage().Asked, "131072.00 GiB") {
		t.Errorf("error %v, asked %q", err, e.Shortage())
	}
}

// Batches of 256 images of 224×224 beside products of about a step's length: "both" takes what the longer of the others does,
// as far as images travel while the device computes.
func BenchmarkDeviceImagesBesideWork(b *testing.B) {
	device := nntest.Device(b)
	size, n := int64(8192), 256
	if !device.IsCUDA() {
		size, n = 256, 4
	}
	pixels := make([]byte, n*224*224*3)
	work := func(s *torch.Scope, a torch.Tensor) {
		for range 2 {
			s.Linear(a, a, torch.Tensor{}).Free()
		}
	}
	images := func(s *torch.Scope, _ torch.Tensor) {
		s.FromImages(torch.BFloat16, pixels, n, 224, 224, 3, []float32{0, 0, 0}, []float32{1, 1, 1}).Free()
	}
	for _, bb := range []struct {
		name  string
		steps []func(*torch.Scope, torch.Tensor)
	}{
		{"work", []func(*torch.Scope, torch.Tensor){work}},
		{"images", []func(*torch.Scope, torch.Tensor){images}},
		{"both", []func(*torch.Scope, torch.Tensor){images, work}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s := torch.NewScopeOn(device, torch.NoGrad)
			defer s.Close()
			a := s.Full(torch.Float32, 1, size, size)
			device.Synchronize()
			for b.Loop() {
				for _, step := range bb.steps {
					step(s, a)
				}
			}
			device.Synchronize()
		})
	}
}
