package nn

import "github.com/locus-learn/locus/torch"

// Conv2d is a square convolution: weight [out, in, k, k], bias [out] or none.
type Conv2d struct {
	Weight, Bias    *Param
	Stride, Padding int
}

// NewConv2d returns a k×k convolution. Without options it is padded to keep the size at stride 1, has no bias, and starts
// by [HeNormal].
func NewConv2d(i Init, in, out, k, stride int, options ...Option) *Conv2d {
	m := maker{padding: k / 2}.with(append([]Option{HeNormal()}, options...))
	weight, bias := m.make(i, in*k*k, out*k*k, out, int64(out), int64(in), int64(k), int64(k))
	return &Conv2d{Weight: weight, Bias: bias, Stride: stride, Padding: m.padding}
}

// Forward implements [Layer]; x is [N, in, H, W].
func (l *Conv2d) Forward(p *Pass, x torch.Tensor) torch.Tensor { return p.weigh(l, x) }

func (l *Conv2d) product() torch.Product {
	return torch.Product{Stride: int64(l.Stride), Padding: int64(l.Padding)}
}

// Tangents says that the layer has a derivative for [Pass.Along].
func (*Conv2d) Tangents() bool { return true }

// Linear is x Wᵀ + b: weight [out, in], bias [out] or none.
type Linear struct{ Weight, Bias *Param }

// NewLinear returns a linear layer. Without options it has a bias and starts by [Uniform].
func NewLinear(i Init, in, out int, options ...Option) *Linear {
	m := maker{bias: true}.with(append([]Option{Uniform()}, options...))
	weight, bias := m.make(i, in, out, out, int64(out), int64(in))
	return &Linear{Weight: weight, Bias: bias}
}

// Forward implements [Layer]; x is [N, …, in].
func (l *Linear) Forward(p *Pass, x torch.Tensor) torch.Tensor { return p.weigh(l, x) }

func (l *Linear) product() torch.Product { return torch.Product{} }

// Tangents says that the layer has a derivative for [Pass.Along].
func (*Linear) Tangents() bool { return true }

// ReLU is max(x, 0), a gate.
type ReLU struct{}

// Forward implements [Layer]. It overwrites x: put it behind a layer whose result autograd does not keep.
func (ReLU) Forward(p *Pass, x torch.Tensor) torch.Tensor { return p.relu(x) }

// Tangents says that the layer has a derivative for [Pass.Along].
func (ReLU) Tangents() bool { return true }

// GELU is x Φ(x), smooth and therefore without a gate.
type GELU struct{}

// Forward implements [Layer].
func (GELU) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	defer x.Free()
	if p.Tangent {
		return p.GELUTangent(x, p.Recorded())
	}
	p.Point(x)
	return p.Scope.GELU(x)
}

// Tangents says that the layer has a derivative for [Pass.Along].
func (GELU) Tangents() bool { return true }

// Scale multiplies by a constant. In front of a classifier, a factor below 1 keeps the logits of a young net small.
type Scale struct{ Factor float64 }

// Forward implements [Layer].
func (l Scale) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	y := p.Scope.Scale(x, l.Factor)
	x.Free()
	return y
}

// Tangents says that the layer has a derivative for [Pass.Along].
func (Scale) Tangents() bool { return true }

// Flatten turns [N, …] into [N, D].
type Flatten struct{}

// Forward implements [Layer].
func (Flatten) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	y := p.Scope.Flatten(x, 1)
	x.Free()
	return y
}

// Tangents says that the layer has a derivative for [Pass.Along].
func (Flatten) Tangents() bool { return true }
