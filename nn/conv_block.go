package nn

import "github.com/locus-learn/locus/torch"

// ConvNormReLU is convolution, batch normalisation and ReLU under the names that the enclosing net gives them.
type ConvNormReLU struct {
	Conv *Conv2d
	Norm *BatchNorm2d
}

// NewConvNormReLU returns a k×k convolution named conv with normalisation named norm.
func NewConvNormReLU(i Init, conv, norm string, in, out, k, stride int) *ConvNormReLU {
	return &ConvNormReLU{NewConv2d(i.In(conv), in, out, k, stride), NewBatchNorm2d(i.In(norm), out)}
}

// Forward implements [Layer].
func (l *ConvNormReLU) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	return l.Norm.ReLU(p, l.Conv.Forward(p, x))
}

// Tangents says that the layer has a derivative for [Pass.Along].
func (*ConvNormReLU) Tangents() bool { return true }

// LinearNormReLU is a linear layer, batch normalisation of its units and ReLU.
type LinearNormReLU struct {
	Linear *Linear
	Norm   *BatchNorm2d
}

// Forward implements [Layer]; x is [N, in].
func (l *LinearNormReLU) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	h := l.Linear.Forward(p, x)
	units := p.Reshape(h, h.Shape()[0], h.Shape()[1], 1, 1)
	h.Free()
	return Flatten{}.Forward(p, l.Norm.ReLU(p, units))
}

// Tangents says that the layer has a derivative for [Pass.Along].
func (*LinearNormReLU) Tangents() bool { return true }
