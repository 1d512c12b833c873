package torch_test

import (
	"testing"

	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
)

// layouts are ways in which the same numbers may lie in memory.
var layouts = []struct {
	name string
	lay  func(s *torch.Scope, x torch.Tensor) torch.Tensor
}{
	{"rows", func(s *torch.Scope, x torch.Tensor) torch.Tensor { return s.Reshape(s.Flatten(x, 1), x.Shape()...) }},
	{"channels-last", func(s *torch.Scope, x torch.Tensor) torch.Tensor { return s.ChannelsLast(x) }},
	{"turned", func(s *torch.Scope, x torch.Tensor) torch.Tensor {
		n := x.Shape()
		return s.Permute(s.Reshape(s.Flatten(s.Permute(x, 2, 3, 0, 1), 1), n[2], n[3], n[0], n[1]), 2, 3, 0, 1)
	}},
	{"with gaps", func(s *torch.Scope, x torch.Tensor) torch.Tensor {
		return s.Narrow(s.Cat(x, x, 2), 2, 0, x.Shape()[2])
	}},
}

// GELU, its tangent and the gradients of both are right however their operands lie, and the gradient that comes back.
func TestGELUInAnyLayout(t *testing.T) {
	device := nntest.Device(t)
	for _, shape := range [][]int64{{2, 8, 4, 4}, {4, 8, 1, 1}, {3, 1, 4, 4}, {1, 3, 2, 2}, {2, 1, 1, 3}} {
		for _, x := range layouts {
			for _, along := range layouts {
				for _, outer := range layouts {
					for _, o := range []deviceOp{
						{"GELU", shapes(shape, shape), func(s *torch.Scope, in []torch.Tensor) torch.Tensor {
							return s.Mul(outer.lay(s, in[1]), s.GELU(x.lay(s, in[0])))
						}},
						{"its tangent", shapes(shape, shape, shape), func(s *torch.Scope, in []torch.Tensor) torch.Tensor {
							return s.Mul(outer.lay(s, in[2]), s.GELUTangent(along.lay(s, in[1]), x.lay(s, in[0])))
						}},
					} {
						want, got := o.results(torch.CPU, torch.Float64), o.results(device, torch.Float32)
						for i := range want {
							if d := relativeDistance(got[i], want[i]); !(d <= 5e-6) {
								t.Errorf("%s of %v, x %s, direction %s, behind it %s: result %d is off by %.1e", o.name, shape, x.name, along.name, outer.name, i, d)
							}
						}
					}
				}
			}
		}
	}
}
