package torch_test

import (
	"fmt"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// tangentOperands are normOperands with a direction for x and, where there is a residual, one for it.
type tangentOperands struct {
	normOperands
	along, beside, gates torch.Tensor
}

func (o tangentOperands) tangent(s *torch.Scope) torch.Tensor {
	return s.BatchNormActTangent(o.along, o.beside, o.x, o.w, o.gates, normEps, nil)
}

// inputs are what the tangent is differentiated by.
func (o tangentOperands) inputs() []torch.Tensor {
	l := []torch.Tensor{o.x, o.w, o.along}
	if o.beside.Defined() {
		l = append(l, o.beside)
	}
	return l
}

func tangentCases() (all []normCase) {
	for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
		for _, residual := range []bool{false, true} {
			for _, relu := range []bool{false, true} {
				all = append(all,
					normCase{dtype: dtype, n: 4, c: 5, h: 3, w: 7, residual: residual, relu: relu, train: true},
					normCase{dtype: dtype, n: 3, c: 64, h: 9, w: 5, residual: residual, relu: relu, train: true})
			}
		}
	}
	return all
}

// direction returns a direction shaped as x, that wants a gradient.
func (k normCase) direction(s *torch.Scope, seed uint64) torch.Tensor {
	t := s.Full(torch.Float32, 0, k.n, k.c, k.h, k.w)
	t.Normal(0.3, 1, seed)
	return s.Detach(s.Cast(t, k.dtype)).SetRequiresGrad(true)
}

// The kernel's tangent and its gradients against those of libtorch's operations in float64.
func TestBatchNormTangentKernel(t *testing.T) {
	for _, k := range tangentCases() {
		t.Run(k.String(), func(t *testing.T) {
			s := torch.NewScope(torch.Grad)
			defer s.Close()
			o := tangentOperands{normOperands: k.operands(s, 2, 1.5), along: k.direction(s, 8)}
			if k.residual {
				o.beside = k.direction(s, 9)
			}
			options := k.options(o.normOperands)
			options.Record = k.relu
			y, gates := s.BatchNormAct(o.x, o.w, o.b, o.mean, o.variance, options)
			wide := o
			wide.normOperands = o.float64s(s)
			for _, d := range []*torch.Tensor{&wide.along, &wide.beside} {
				if d.Defined() {
					*d = s.Detach(s.Cast(s.Detach(*d), torch.Float64)).SetRequiresGrad(true)
				}
			}
			if k.relu {
				o.gates, wide.gates = gates, s.IsZero(s.Detach(y))
			}
			got, want := o.tangent(s), wide.tangent(s)
			tolerance := 2e-5
			if k.dtype == torch.BFloat16 {
				tolerance = 2e-2
			}
			near(t, "tangent", got, want, tolerance)
			g := s.Grad(loss(s, got, o.normOperands), o.inputs(), torch.GradOptions{})
			w := s.Grad(loss(s, want, wide.normOperands), wide.inputs(), torch.GradOptions{})
			for i, name := range []string{"x", "weight", "direction", "residual"}[:len(g)] {
				near(t, "gradient of "+name, g[i], w[i], tolerance)
			}
		})
	}
}

// The tangent in float64 is the central difference of the normalisation that replays its gates.
func TestBatchNormTangentIsTheDerivative(t *testing.T) {
	for _, residual := range []bool{false, true} {
		for _, relu := range []bool{false, true} {
			k := normCase{dtype: torch.Float64, n: 4, c: 5, h: 3, w: 7, residual: residual, relu: relu, train: true}
			t.Run(fmt.Sprint(k), func(t *testing.T) {
				s := torch.NewScope(torch.NoGrad)
				defer s.Close()
				o := tangentOperands{normOperands: k.operands(s, 2, 1.5), along: k.direction(s, 8)}
				if residual {
					o.beside = k.direction(s, 9)
				}
				options := k.options(o.normOperands)
				options.Record = relu
				_, o.gates = s.BatchNormAct(o.x, o.w, o.b, o.mean, o.variance, options)
				const h = 1e-5
				at := func(h float64) torch.Tensor {
					moved, options := o.normOperands, options
					moved.x = s.Add(o.x, o.along, h)
					options.Record, options.Gates = false, o.gates
					if residual {
						options.Residual = s.Add(o.residual, o.beside, h)
					}
					return fused(s, moved, options)
				}
				difference := s.Scale(s.Add(at(h), at(-h), -1), 1/(2*h))
				near(t, "tangent", o.tangent(s), difference, 1e-8)
			})
		}
	}
}

// The tangent of the cross-entropy is its central difference, and its gradient by the logits along another direction is
// the second one.
func TestCrossEntropyTangent(t *testing.T) {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	draw := func(seed uint64) torch.Tensor {
		z := s.Full(torch.Float64, 0, 6, 5)
		z.Normal(0, 2, seed)
		return z
	}
	logits, along, other := draw(1), draw(2), draw(3)
	hard := s.FromInts([]int64{0, 3, 4, 1, 1, 2})
	for name, c := range map[string]struct {
		labels    torch.Tensor
		smoothing float64
	}{"labels": {hard, 0}, "smoothed": {hard, 0.1}, "soft": {s.Detach(s.Softmax(draw(4))), 0}, "soft, smoothed": {s.Detach(s.Softmax(draw(4))), 0.1}} {
		t.Run(name, func(t *testing.T) {
			const h = 1e-5
			value := func(h float64) torch.Tensor { return s.CrossEntropy(s.Add(logits, along, h), c.labels, c.smoothing) }
			tangent := func(h float64) torch.Tensor {
				return s.CrossEntropyTangent(along, s.Add(logits, other, h), c.labels, c.smoothing)
			}
			halved := func(f func(float64) torch.Tensor) torch.Tensor {
				return s.Detach(s.Scale(s.Add(f(h), f(-h), -1), 1/(2*h)))
			}
			near(t, "tangent", tangent(0), halved(value), 1e-9)
			z, u := s.Detach(s.Clone(logits)).SetRequiresGrad(true), s.Detach(s.Clone(along)).SetRequiresGrad(true)
			g := s.Grad(s.CrossEntropyTangent(u, z, c.labels, c.smoothing), []torch.Tensor{z, u}, torch.GradOptions{})
			near(t, "gradient of the logits", s.Sum(s.Mul(g[0], other)), halved(tangent), 1e-9)
			own := s.Detach(s.Clone(logits)).SetRequiresGrad(true)
			near(t, "gradient of the direction", g[1], s.Grad(s.CrossEntropy(own, c.labels, c.smoothing), []torch.Tensor{own}, torch.GradOptions{})[0], 1e-12)
		})
	}
}
