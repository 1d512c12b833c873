package torch_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// Narrow 1×1 convolutions with a stride make oneDNN write beyond its buffers with these numbers of threads, which ends
// the program sooner or later. Small whole numbers make every sum exact, in whatever order.
func TestNarrowStridedConvolutions(t *testing.T) {
	defer torch.SetThreads(torch.Threads())
	for _, threads := range []int{1, 3, 5} {
		torch.SetThreads(threads)
		for _, c := range []struct{ in, out int64 }{{4, 8}, {8, 16}, {12, 24}} {
			t.Run(fmt.Sprintf("%d threads, %d to %d", threads, c.in, c.out), func(t *testing.T) {
				for range 5 {
					stridedConvolution(t, c.in, c.out)
				}
			})
		}
	}
}

func stridedConvolution(t *testing.T, in, out int64) {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	const n, side, stride = 8, 32, 2
	x, w := maps(s, torch.Float32, false, 1, n, in, side, side), maps(s, torch.Float32, false, 2, out, in, 1, 1)
	dy := maps(s, torch.Float32, false, 3, n, out, side/stride, side/stride)
	x, w = x.SetRequiresGrad(true), w.SetRequiresGrad(true)
	y := s.Conv2d(x, w, torch.Tensor{}, stride, 0)
	grads := s.Grad(s.Sum(s.Mul(y, dy)), []torch.Tensor{x, w}, torch.GradOptions{})

	product := torch.Product{Stride: stride}
	dw, _ := product.ToWeight(s, dy, x, w, false)
	for name, pair := range map[string][2]torch.Tensor{
		"result": {y, product.Apply(s, x, w, torch.Tensor{})}, "input": {grads[0], product.ToInput(s, dy, x, w)}, "weight": {grads[1], dw},
	} {
		if !reflect.DeepEqual(pair[0].Float64s(), pair[1].Float64s()) {
			t.Errorf("%s: autograd's is not the adjoint's", name)
		}
	}
	xs, ws, ys := x.Float64s(), w.Float64s(), y.Float64s()
	var want, back float64 // at one place each
	for c := range in {
		want += xs[((1*in+c)*side+4)*side+6] * ws[3*in+c]
	}
	if got := ys[((1*out+3)*side/stride+2)*side/stride+3]; got != want {
		t.Errorf("result is %v, must be %v", got, want)
	}
	dys, dxs := dy.Float64s(), grads[0].Float64s()
	for o := range out {
		back += dys[((1*out+o)*side/stride+2)*side/stride+3] * ws[o*in+2]
	}
	if got, between := dxs[((1*in+2)*side+4)*side+6], dxs[((1*in+2)*side+4)*side+7]; got != back || between != 0 {
		t.Errorf("gradients of two neighbouring pixels are %v and %v, must be %v and 0", got, between, back)
	}
}
