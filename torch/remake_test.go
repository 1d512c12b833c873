package torch_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// A convolution that makes its input again has the result and the gradients of one that keeps it, to the last bit, and
// holds that much less: behind a normalisation whose gates it decides, records or replays, or its tangent; whatever bias,
// kernel and stride.
func TestRemakingConvolution(t *testing.T) {
	const n, c, side, out = 8, 12, 16, 20
	for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
		for _, k := range []struct {
			name                    string
			kernel, stride, padding int64
			bias, relu, record      bool
			replay, tangent         bool
		}{
			{name: "decided", kernel: 3, stride: 1, padding: 1, relu: true},
			{name: "recorded", kernel: 3, stride: 2, padding: 1, relu: true, record: true, bias: true},
			{name: "replayed", kernel: 3, stride: 1, padding: 1, relu: true, replay: true},
			{name: "without a ReLU", kernel: 1, stride: 1},
			{name: "narrow 1×1 with a stride", kernel: 1, stride: 2, relu: true, bias: true},
			{name: "tangent", kernel: 3, stride: 1, padding: 1, relu: true, record: true, tangent: true},
		} {
			t.Run(fmt.Sprint(dtype, " ", k.name), func(t *testing.T) {
				run := func(remake, held bool) (values [][]byte, bytes int64) {
					s := torch.NewScope(torch.Grad)
					defer s.Close()
					leaf := func(seed uint64, sizes ...int64) torch.Tensor {
						z := s.Full(torch.Float32, 0, sizes...)
						z.Normal(0.2, 1, seed)
						return s.Detach(s.Cast(z, dtype)).SetRequiresGrad(true)
					}
					values32 := func(seed uint64) torch.Tensor {
						z := s.Full(torch.Float32, 0, c)
						z.Normal(1, 0.3, seed)
						return s.Detach(z).SetRequiresGrad(true)
					}
					x, w, b := leaf(1, n, c, side, side), values32(2), values32(3)
					kernel, bias := leaf(4, out, c, k.kernel, k.kernel), torch.Tensor{}
					inputs := []torch.Tensor{x, w, b, kernel}
					if k.bias {
						bias = leaf(5, out)
						inputs = append(inputs, bias)
					}
					o := torch.NormOptions{Train: true, Eps: normEps, ReLU: k.relu, Record: k.record}
					if k.replay {
						o.Record = true
						_, o.Gates = s.BatchNormAct(leaf(6, n, c, side, side), w, b, torch.Tensor{}, torch.Tensor{}, o)
						o.Record = false
					}
					before := torch.LiveBytes()
					h, gates := s.BatchNormAct(x, w, b, torch.Tensor{}, torch.Tensor{}, o)
					if k.tangent {
						h.Free()
						along := leaf(7, n, c, side, side)
						inputs = append(inputs[:2:2], kernel, along) // the tangent does not depend on b
						before = torch.LiveBytes()
						h = s.BatchNormActTangent(along, torch.Tensor{}, x, w, gates, normEps, nil)
					}
					y := torch.Product{Stride: k.stride, Padding: k.padding, Remake: remake}.Apply(s, h, kernel, bias)
					if !held {
						h.Free()
					}
					bytes = torch.LiveBytes() - before
					for _, g := range append(s.Grad(s.Sum(s.Mul(y, y)), inputs, torch.GradOptions{}), s.Detach(y)) {
						values = append(values, g.Data())
					}
					return values, bytes
				}
				kept, full := run(false, false)
				made, less := run(true, false)
				borrowed, _ := run(true, true) // from who keeps it
				for i, want := range kept {
					if !slices.Equal(made[i], want) || !slices.Equal(borrowed[i], want) {
						t.Errorf("gradient %d of %d, or the result, differs", i+1, len(kept)-1)
					}
				}
				if saved, size := full-less, int64(n*c*side*side*dtype.Size()); saved != size {
					t.Errorf("%d bytes less are held, want those of the input: %d", saved, size)
				}
			})
		}
	}
}

// What is added to a normalisation is not kept, so that its result must be; and there is no second derivative.
func TestWhatIsNotRemade(t *testing.T) {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	k := normCase{dtype: torch.Float32, n: 2, c: 4, h: 4, w: 4, residual: true, relu: true, train: true}
	conv := torch.Product{Stride: 1, Remake: true}
	kernel := s.Full(torch.Float32, 0.5, 3, 4, 1, 1).SetRequiresGrad(true)
	o := k.operands(s, 0, 1)
	twice := torch.GradOptions{CreateGraph: true}
	y, _ := s.BatchNormAct(o.x, o.w, o.b, o.mean, o.variance, k.options(o))
	if y.Remakable() {
		t.Error("behind a residual it is remakable")
	}
	s.Grad(s.Sum(conv.Apply(s, y, kernel, torch.Tensor{})), []torch.Tensor{kernel}, twice) // an ordinary convolution

	k.residual = false
	o = k.operands(s, 0, 1)
	y, _ = s.BatchNormAct(o.x, o.w, o.b, o.mean, o.variance, k.options(o))
	if !y.Remakable() {
		t.Error("without one it is not")
	}
	z := s.Sum(conv.Apply(s, y, kernel, torch.Tensor{}))
	defer func() {
		err, _ := recover().(error)
		var refused *torch.Error
		if !errors.As(err, &refused) || !strings.Contains(refused.Text, "can be differentiated once") {
			t.Errorf("a second derivative: %v", err)
		}
	}()
	s.Grad(z, []torch.Tensor{kernel}, twice)
}

// The same behind what transformers have: GELU and layer normalisation in front of a matrix product. Of its gradient the
// order of sums is ours.
func TestRemakingMatrixProduct(t *testing.T) {
	const rows, in, out = 24, 32, 20
	for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16, torch.Float64} {
		for _, source := range []string{"GELU", "LayerNorm"} {
			t.Run(fmt.Sprint(dtype, " ", source), func(t *testing.T) {
				s := torch.NewScope(torch.Grad)
				defer s.Close()
				leaf := func(dtype torch.DType, mean float64, seed uint64, sizes ...int64) torch.Tensor {
					z := s.Full(torch.Float32, 0, sizes...)
					z.Normal(mean, 0.5, seed)
					return s.Detach(s.Cast(z, dtype)).SetRequiresGrad(true)
				}
				values := dtype
				if dtype == torch.BFloat16 {
					values = torch.Float32
				}
				x, scale, shift := leaf(dtype, 0.2, 1, rows, in), leaf(values, 1, 2, in), leaf(values, 0, 3, in)
				w, b := leaf(dtype, 0, 4, out, in), leaf(dtype, 0, 5, out)
				inputs := []torch.Tensor{x, w, b}
				run := func(remake, held bool) (g []torch.Tensor, bytes int64) {
					before := torch.LiveBytes()
					h := torch.Tensor{}
					if source == "GELU" {
						h = s.GELU(x)
					} else {
						h = s.LayerNorm(x, scale, shift, normEps)
						inputs = append(inputs[:3:3], scale, shift)
					}
					y := torch.Product{Remake: remake}.Apply(s, h, w, b)
					if !held {
						h.Free()
					}
					bytes = torch.LiveBytes() - before
					total := s.Sum(s.Mul(y, y))
					y.Free()
					return s.Grad(total, inputs, torch.GradOptions{}), bytes
				}
				kept, full := run(false, false)
				made, less := run(true, false)
				borrowed, _ := run(true, true)
				tolerance := map[torch.DType]float64{torch.Float32: 1e-5, torch.BFloat16: 2e-2, torch.Float64: 1e-12}[dtype]
				for i, want := range kept {
					near(t, fmt.Sprint("gradient ", i+1), made[i], want, tolerance)
					if !slices.Equal(made[i].Data(), borrowed[i].Data()) {
						t.Errorf("gradient %d differs where the input was held", i+1)
					}
				}
				if saved, size := full-less, int64(rows*in*dtype.Size()); saved != size {
					t.Errorf("%d bytes less are held, want those of the input: %d", saved, size)
				}
			})
		}
	}
}
