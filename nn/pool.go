package nn

import "github.com/locus-learn/locus/torch"

// AvgPool averages [N, C, H, W] into Side×Side cells; Side 1 is global average pooling.
type AvgPool struct{ Side int }

// Forward implements [Layer].
func (l AvgPool) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	y := p.AdaptiveAvgPool2d(x, int64(l.Side))
	x.Free()
	return y
}

// Tangents says that the layer has a derivative for [Pass.Along].
func (AvgPool) Tangents() bool { return true }

// MaxPool takes the maximum over K×K windows of [N, C, H, W]. Which element each window takes is a gate.
type MaxPool struct{ K, Stride, Padding int }

// Forward implements [Layer].
func (l MaxPool) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	var choice torch.Tensor
	if p.Gates.Replaying() {
		choice = p.Gates.take()
	}
	y, made := p.MaxPool2d(x, int64(l.K), int64(l.Stride), int64(l.Padding), choice)
	switch {
	case p.Gates != nil && !p.Gates.Replaying():
		p.Gates.add(made)
	default:
		made.Free()
	}
	x.Free()
	return y
}

// Tangents says that the layer has a derivative for [Pass.Along].
func (MaxPool) Tangents() bool { return true }
