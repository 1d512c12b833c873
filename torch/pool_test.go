package torch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// window is a max pooling of maps of c×h×w, n of them.
type window struct{ n, c, h, w, k, stride, padding int64 }

func (g window) String() string {
	return fmt.Sprintf("%dx%dx%dx%d k%d s%d p%d", g.n, g.c, g.h, g.w, g.k, g.stride, g.padding)
}

var windows = []window{
	{2, 64, 8, 8, 3, 2, 1}, {3, 5, 7, 9, 3, 2, 1}, {1, 3, 6, 5, 2, 2, 0}, {2, 17, 5, 5, 3, 1, 1}, {1, 2, 7, 7, 2, 3, 0},
	{1, 4, 20, 20, 17, 2, 8}, // too large for a byte: libtorch's own
}

func (g window) outputs() (oh, ow int64) {
	return (g.h+2*g.padding-g.k)/g.stride + 1, (g.w+2*g.padding-g.k)/g.stride + 1
}

// chosen returns, for every result of pooling x in NCHW order, the place of its maximum in x.
func (g window) chosen(x []float64) []int64 {
	var places []int64
	oh, ow := g.outputs()
	for m := range g.n * g.c {
		for i := range oh {
			for j := range ow {
				best, at := math.Inf(-1), int64(-1)
				for h := max(0, i*g.stride-g.padding); h < min(g.h, i*g.stride-g.padding+g.k); h++ {
					for w := max(0, j*g.stride-g.padding); w < min(g.w, j*g.stride-g.padding+g.k); w++ {
						if v := x[(m*g.h+h)*g.w+w]; at < 0 || v > best {
							best, at = v, (m*g.h+h)*g.w+w
						}
					}
				}
				places = append(places, at)
			}
		}
	}
	return places
}

// maps returns small whole numbers, with many ties, which every type holds exactly.
func maps(s *torch.Scope, dtype torch.DType, nchw bool, seed uint64, shape ...int64) torch.Tensor {
	random := rand.New(rand.NewPCG(seed, 0))
	data := make([]float64, shape[0]*shape[1]*shape[2]*shape[3])
	for i := range data {
		data[i] = float64(random.IntN(9) - 3)
	}
	t := s.Cast(s.FromDoubles(data, shape...), dtype)
	if !nchw {
		t = s.ChannelsLast(t)
	}
	return s.Detach(s.Clone(t))
}

func equal(t *testing.T, name string, got torch.Tensor, want []float64) {
	t.Helper()
	for i, v := range got.Float64s() {
		if v != want[i] {
			t.Fatalf("%s: element %d is %g, want %g", name, i, v, want[i])
		}
	}
}

func forEachLayout(t *testing.T, test func(t *testing.T, dtype torch.DType, nchw bool)) {
	for _, dtype := range []torch.DType{torch.Float32, torch.Float64, torch.BFloat16} {
		for _, nchw := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v nchw=%v", dtype, nchw), func(t *testing.T) { test(t, dtype, nchw) })
		}
	}
}

// With y the maxima of x, z those of another map at the same places and r a constant: the loss Σ r·z² has the gradient
// 2·r·z at those places, and the loss Σ q·gradient the second derivative 2·r·q there.
func TestMaxPool(t *testing.T) {
	for _, g := range windows {
		t.Run(g.String(), func(t *testing.T) {
			forEachLayout(t, func(t *testing.T, dtype torch.DType, nchw bool) {
				s := torch.NewScope(torch.Grad)
				defer s.Close()
				oh, ow := g.outputs()
				x := maps(s, dtype, nchw, 1, g.n, g.c, g.h, g.w).SetRequiresGrad(true)
				other := maps(s, dtype, nchw, 2, g.n, g.c, g.h, g.w).SetRequiresGrad(true)
				r := maps(s, dtype, nchw, 3, g.n, g.c, oh, ow)
				q := maps(s, dtype, nchw, 4, g.n, g.c, g.h, g.w)
				y, choice := s.MaxPool2d(x, g.k, g.stride, g.padding, torch.Tensor{})
				z, none := s.MaxPool2d(other, g.k, g.stride, g.padding, choice)
				if none.Defined() {
					t.Error("a replay returns choices")
				}
				places := g.chosen(x.Float64s())
				xs, others, rs, qs := x.Float64s(), other.Float64s(), r.Float64s(), q.Float64s()
				n := len(xs)
				maxima, replayed := make([]float64, len(places)), make([]float64, len(places))
				first, second, plain := make([]float64, n), make([]float64, n), make([]float64, n)
				for i, at := range places {
					maxima[i], replayed[i] = xs[at], others[at]
					plain[at] += rs[i]
					first[at] += 2 * rs[i] * others[at]
					second[at] += 2 * rs[i] * qs[at]
				}
				equal(t, "maxima", y, maxima)
				equal(t, "replayed", z, replayed)
				equal(t, "gradient", s.Grad(s.Sum(s.Mul(y, r)), []torch.Tensor{x}, torch.GradOptions{})[0], plain)
				loss := s.Sum(s.Mul(s.Mul(z, z), r))
				grad := s.Grad(loss, []torch.Tensor{other}, torch.GradOptions{CreateGraph: true})[0]
				equal(t, "gradient of the replay", grad, first)
				equal(t, "second derivative",
					s.Grad(s.Sum(s.Mul(grad, q)), []torch.Tensor{other}, torch.GradOptions{})[0], second)
			})
		})
	}
}

func TestMaxPoolChoicesTakeAByte(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	_, choice := s.MaxPool2d(s.Full(torch.Float32, 1, 2, 64, 56, 56), 3, 2, 1, torch.Tensor{})
	if want := int64(2 * 64 * 28 * 28); choice.Bytes() != want {
		t.Errorf("%d bytes, want %d", choice.Bytes(), want)
	}
}

func TestMaxPoolShowsNaN(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	for _, dtype := range []torch.DType{torch.Float32, torch.Float64, torch.BFloat16} {
		for at := range 4 {
			data := []float64{1, 2, 3, 4}
			data[at] = math.NaN()
			y, _ := s.MaxPool2d(s.Cast(s.FromDoubles(data, 1, 1, 2, 2), dtype), 2, 2, 0, torch.Tensor{})
			if v := y.Item(); !math.IsNaN(v) {
				t.Errorf("%v: NaN at %d: the maximum is %g", dtype, at, v)
			}
		}
	}
}

func TestMaxPoolRefuses(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	x := s.Full(torch.Float32, 1, 1, 2, 4, 4)
	_, choice := s.MaxPool2d(x, 2, 2, 0, torch.Tensor{})
	for name, f := range map[string]func(){
		"a window larger than the map": func() { s.MaxPool2d(x, 5, 1, 0, torch.Tensor{}) },
		"padding beyond the window":    func() { s.MaxPool2d(x, 2, 1, 2, torch.Tensor{}) },
		"stride 0":                     func() { s.MaxPool2d(x, 2, 0, 0, torch.Tensor{}) },
		"three dimensions":             func() { s.MaxPool2d(s.Flatten(x, 2), 2, 2, 0, torch.Tensor{}) },
		"the choice of another shape":  func() { s.MaxPool2d(x, 3, 1, 0, s.Flatten(choice, 1)) },
	} {
		var err error
		func() {
			defer torch.Catch(&err)
			f()
		}()
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// Means of whole numbers over cells of 2ᵏ places are exact in every type.
func TestAvgPool(t *testing.T) {
	for _, g := range []struct{ n, c, h, w, side int64 }{
		{2, 64, 8, 8, 2}, {3, 5, 4, 4, 1}, {2, 17, 8, 4, 4}, {1, 3, 4, 4, 4},
	} {
		t.Run(fmt.Sprint(g), func(t *testing.T) {
			forEachLayout(t, func(t *testing.T, dtype torch.DType, nchw bool) {
				s := torch.NewScope(torch.Grad)
				defer s.Close()
				ch, cw := g.h/g.side, g.w/g.side
				cell := func(i int64) int64 { // of place i in NCHW order
					m, h, w := i/(g.h*g.w), i/g.w%g.h, i%g.w
					return (m*g.side+h/ch)*g.side + w/cw
				}
				x := maps(s, dtype, nchw, 1, g.n, g.c, g.h, g.w).SetRequiresGrad(true)
				r := maps(s, dtype, nchw, 2, g.n, g.c, g.side, g.side)
				q := maps(s, dtype, nchw, 3, g.n, g.c, g.h, g.w)
				y := s.AdaptiveAvgPool2d(x, g.side)
				area := float64(ch * cw)
				xs, qs, rs := x.Float64s(), q.Float64s(), r.Float64s()
				means, of := make([]float64, len(rs)), make([]float64, len(rs))
				for i := range xs {
					means[cell(int64(i))] += xs[i] / area
					of[cell(int64(i))] += qs[i] / area
				}
				first, second := make([]float64, len(xs)), make([]float64, len(xs))
				for i := range xs {
					at := cell(int64(i))
					first[i], second[i] = 2*rs[at]*means[at]/area, 2*rs[at]*of[at]/area
				}
				tolerant := func(name string, got torch.Tensor, want []float64) {
					t.Helper()
					near(t, name, got, s.FromDoubles(want, got.Shape()...), 2*tolerance(dtype))
				}
				tolerant("means", y, means)
				grad := s.Grad(s.Sum(s.Mul(s.Mul(y, y), r)), []torch.Tensor{x}, torch.GradOptions{CreateGraph: true})[0]
				tolerant("gradient", grad, first)
				tolerant("second derivative",
					s.Grad(s.Sum(s.Mul(grad, q)), []torch.Tensor{x}, torch.GradOptions{})[0], second)
			})
		})
	}
}
