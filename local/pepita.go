package local

import (
	"math"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Modulated runs a unit on its input x and on what the second pass brings, x′, which is x + Scale · F e in front of the
// first module, F being its Aux and e the network's error. With y and y′ behind the nonlinearity,
//
//	∂L/∂W → (y − y′) x′ᵀ/N,
//
// for a convolution averaged over its output's positions, as published. The classifier's is e′ h′ᵀ/N, of the second pass,
// or, with First, e h′ᵀ/N: so does the authors' net of one convolution.
type Modulated struct {
	First            bool
	Scale, Smoothing float64
}

// Gradients implements [Credit].
func (f Modulated) Gradients(p *nn.Pass, m *Module, _ Objective, in Signal, _ Want) Gradients {
	mod := in.Mod
	if m.Aux != nil {
		mod = f.modulate(p, m.Aux, in)
	}
	c, second := openUnit(p, m, in.X), openUnit(p, m, mod)
	shape := c.Y.Shape()
	count := float64(shape[0])
	for _, positions := range shape[min(2, len(shape)):] {
		count *= float64(positions)
	}
	diff := p.Add(c.Y, second.Y, -1)
	torch.ForeachScale([]torch.Tensor{diff}, 1/count)
	g := Gradients{Loss: torch.Known(math.NaN()), Lossless: true, X: c.Out, Mod: second.Out}
	g.Theta = nn.ToWeights(p, c.unit.Weigh, diff, second.X)
	diff.Free()
	if !m.Last {
		return g
	}
	first, again := c.read(in.Y, f.Smoothing), second.read(in.Y, f.Smoothing)
	delta := again.delta
	if f.First {
		delta = first.delta
	}
	g.Loss, g.Lossless, g.Mod = first.loss, false, torch.Tensor{}
	g.Theta = append(g.Theta, second.learnHead(delta, again.features)...)
	return g
}

// modulate returns x + Scale · F e.
func (f Modulated) modulate(p *nn.Pass, projection nn.Layer, in Signal) torch.Tensor {
	x := p.Cast(in.X, p.Compute)
	by := p.Reshape(projection.Forward(p, p.Cast(in.Error, p.Compute)), x.Shape()...)
	return p.Add(x, by, f.Scale)
}
