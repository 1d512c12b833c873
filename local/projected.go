package local

import (
	"math"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Projected gives a unit in place of ∂L/∂y, in front of a pool that it may have,
//
//	δ_y = Scale · B e/N,   or with Targets   δ_y = Scale · B t/N,
//
// e being the network's error softmax − t, t the one-hot labels and B the module's Aux. The network's classifier learns by
// its own error.
type Projected struct {
	Targets          bool
	Scale, Smoothing float64
}

// Gradients implements [Credit].
func (f Projected) Gradients(p *nn.Pass, m *Module, _ Objective, in Signal, _ Want) Gradients {
	c := openUnit(p, m, in.X)
	g := Gradients{Loss: torch.Known(math.NaN()), Lossless: true, X: c.Out}
	signal := in.Error
	if f.Targets {
		signal = p.OneHot(in.Y, int(m.Aux.(*nn.Linear).Weight.Value.Shape()[1]))
	}
	n := float64(signal.Shape()[0])
	projected := m.Aux.Forward(p, p.Cast(p.Scale(signal, f.Scale/n), p.Compute))
	a := c.unit.Slope(p, c.Trace, p.Reshape(projected, c.Y.Shape()...))
	g.Theta = nn.ToWeights(p, c.unit.Weigh, a, c.X)
	a.Free()
	if m.Last {
		r := c.read(in.Y, f.Smoothing)
		g.Loss, g.Lossless = r.loss, false
		g.Theta = append(g.Theta, c.learnHead(r.delta, r.features)...)
	}
	return g
}
