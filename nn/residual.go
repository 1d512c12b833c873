package nn

import "github.com/locus-learn/locus/torch"

// Residual is ReLU(Norm(Body x) + Shortcut x), the block of residual networks (He et al. 2016). An empty shortcut is the
// identity.
type Residual struct {
	Body     Sequential
	Norm     *BatchNorm2d
	Shortcut Sequential
}

// Forward implements [Layer].
func (l *Residual) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	shortcut := l.Shortcut.Forward(p, p.Alias(x))
	return l.Norm.AddReLU(p, l.Body.Forward(p, x), shortcut)
}

// Tangents says whether the layer has a derivative for [Pass.Along].
func (l *Residual) Tangents() bool { return Tangents(l.Body, l.Shortcut) }
