package nn

import "github.com/locus-learn/locus/torch"

// Conv2d is a square convolution: weight [out, in, k, k], bias [out] or nil.
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

// NewConv2dBias returns the same convolution with a bias, which starts as PyTorch's does.
func NewConv2dBias(i Init, in, out, k, stride int) *Conv2d {
	l := NewConv2d(i, in, out, k, stride)
	l.Bias = i.uniform("bias", in*k*k, int64(out))
	return l
}

// Forward implements [Layer]; x is [N, in, H, W].
func (l *Conv2d) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	w, b := p.weight(l.Weight), p.weight(l.Bias)
	y := p.Conv2d(x, w, b, int64(l.Stride), int64(l.Padding))
	p.list(l.Weight, y)
	w.Free()
	b.Free()
	x.Free()
	return y
}

// Params implements [Layer].
func (l *Conv2d) Params() []*Param {
	if l.Bias == nil {
		return []*Param{l.Weight}
	}
	return []*Param{l.Weight, l.Bias}
}

// Linear is x Wᵀ + b: weight [out, in], bias [out].
type Linear struct{ Weight, Bias *Param }

// NewLinear returns a linear layer with PyTorch's default initialisation.
func NewLinear(i Init, in, out int) *Linear {
	return &Linear{
		Weight: i.uniform("weight", in, int64(out), int64(in)),
		Bias:   i.uniform("bias", in, int64(out)),
	}
}

// Forward implements [Layer]; x is [N, in].
func (l *Linear) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	w, b := p.weight(l.Weight), p.weight(l.Bias)
	y := p.Linear(x, w, b)
	p.list(l.Weight, y)
	w.Free()
	b.Free()
	x.Free()
	return y
}

// Params implements [Layer].
func (l *Linear) Params() []*Param { return []*Param{l.Weight, l.Bias} }

// ReLU is max(x, 0), a gate.
type ReLU struct{}

// Forward implements [Layer]. It overwrites x: put it behind a layer whose result autograd does not keep.
func (ReLU) Forward(p *Pass, x torch.Tensor) torch.Tensor { return p.relu(x) }

// Params implements [Layer].
func (ReLU) Params() []*Param { return nil }

// GELU is x Φ(x), smooth and therefore without a gate.
type GELU struct{}

// Forward implements [Layer].
func (GELU) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	y := p.Scope.GELU(x)
	x.Free()
	return y
}

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
