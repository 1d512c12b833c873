package nn

import "github.com/locus-learn/locus/torch"

// Conv2d is a square convolution: weight [out, in, k, k], bias [out] or none.
type Conv2d struct {
	Weight, Bias    *Param
	Stride, Padding int
}

// NewConv2d returns a k×k convolution without bias, padded to keep the size at stride 1, He-normal by fan-out.
func NewConv2d(i Init, in, out, k, stride int) *Conv2d {
	return &Conv2d{
		Weight: i.heNormal("weight", out*k*k, int64(out), int64(in), int64(k), int64(k)),
		Stride: stride, Padding: k / 2,
	}
}

// NewPatches returns the convolution with bias that embeds patches of side k, which do not overlap; PyTorch's default
// initialisation.
func NewPatches(i Init, in, out, k int) *Conv2d {
	l := NewConvDefault(i, in, out, k, 0, true)
	l.Stride = k
	return l
}

// NewConvDefault returns a k×k convolution of stride 1 with PyTorch's default initialisation.
func NewConvDefault(i Init, in, out, k, padding int, bias bool) *Conv2d {
	weight := i.uniform("weight", in*k*k, int64(out), int64(in), int64(k), int64(k))
	l := &Conv2d{Weight: weight, Stride: 1, Padding: padding}
	if bias {
		l.Bias = i.uniform("bias", in*k*k, int64(out))
	}
	return l
}

// WithBias adds a bias of zeros, under the place that i gives the convolution.
func (l *Conv2d) WithBias(i Init) *Conv2d {
	l.Bias = i.Bias(int(l.Weight.Value.Shape()[0]))
	return l
}

// Forward implements [Layer]; x is [N, in, H, W].
func (l *Conv2d) Forward(p *Pass, x torch.Tensor) torch.Tensor { return p.weigh(l, x) }

func (l *Conv2d) product() torch.Product {
	return torch.Product{Stride: int64(l.Stride), Padding: int64(l.Padding)}
}

// Params implements [Layer].
func (l *Conv2d) Params() []*Param { return present(l.Weight, l.Bias) }

// Tangents says that the layer has a derivative for [Pass.Along].
func (*Conv2d) Tangents() bool { return true }

// Linear is x Wᵀ + b: weight [out, in], bias [out] or none.
type Linear struct{ Weight, Bias *Param }

// NewLinear returns a linear layer with PyTorch's default initialisation.
func NewLinear(i Init, in, out int) *Linear {
	return &Linear{
		Weight: i.uniform("weight", in, int64(out), int64(in)),
		Bias:   i.uniform("bias", in, int64(out)),
	}
}

// NewNormalLinear returns a linear layer as transformers start: weight N(0, std²), bias 0.
func NewNormalLinear(i Init, in, out int, std float64) *Linear {
	return &Linear{Weight: i.Normal("weight", std, int64(out), int64(in)), Bias: i.Bias(out)}
}

// NewUnbiasedLinear returns a linear layer without bias whose weight is PyTorch's default.
func NewUnbiasedLinear(i Init, in, out int) *Linear {
	return &Linear{Weight: i.uniform("weight", in, int64(out), int64(in))}
}

// Forward implements [Layer]; x is [N, …, in].
func (l *Linear) Forward(p *Pass, x torch.Tensor) torch.Tensor { return p.weigh(l, x) }

func (l *Linear) product() torch.Product { return torch.Product{} }

// Params implements [Layer].
func (l *Linear) Params() []*Param { return present(l.Weight, l.Bias) }

// Tangents says that the layer has a derivative for [Pass.Along].
func (*Linear) Tangents() bool { return true }

// ReLU is max(x, 0), a gate.
type ReLU struct{}

// Forward implements [Layer]. It overwrites x: put it behind a layer whose result autograd does not keep.
func (ReLU) Forward(p *Pass, x torch.Tensor) torch.Tensor { return p.relu(x) }

// Params implements [Layer].
func (ReLU) Params() []*Param { return nil }

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

// Params implements [Layer].
func (GELU) Params() []*Param { return nil }

// Flatten turns [N, …] into [N, D].
type Flatten struct{}

// Forward implements [Layer].
func (Flatten) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	y := p.Scope.Flatten(x, 1)
	x.Free()
	return y
}

// Params implements [Layer].
func (Flatten) Params() []*Param { return nil }

// Tangents says that the layer has a derivative for [Pass.Along].
func (Flatten) Tangents() bool { return true }
