package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// ClosedForm finds the gradients of a unit's cross-entropy by formulas (Eq. 35's parts; Appendix D):
//
//	δ_y = Mᵀ(softmax(M y) − t)/N through the pools,  a = δ_y ⊙ σ′(W x),  ∂L/∂W = a xᵀ,  δ_x = Wᵀ a
//
// with a convolution's two adjoints in place of the products. Its objective is [Classify] and no other. It can record and
// replay no gates.
type ClosedForm struct{ Smoothing float64 }

// Gradients implements [Credit].
func (f ClosedForm) Gradients(p *nn.Pass, m *Module, _ Objective, in Signal, want Want) Gradients {
	g := f.open(p, m, in, want)
	g.dy.Free()
	g.learn(in.X, want)
	g.a.Free()
	return g.Gradients
}

// closedGradients are the gradients with what the term's closed form goes on from.
type closedGradients struct {
	Gradients
	*closedForm
	reading
	dy, a torch.Tensor // δ_y and δ_y ⊙ σ′
}

// open runs the module forward and takes the loss's gradient back to z.
func (f ClosedForm) open(p *nn.Pass, m *Module, in Signal, want Want) *closedGradients {
	c := openUnit(p, m, in.X)
	g := &closedGradients{closedForm: c, reading: c.read(in.Y, f.Smoothing)}
	g.Gradients = Gradients{Loss: g.loss, X: c.Trace.Out}
	out := c.descend(g.reading, g.delta)
	g.dy = c.unit.Unpool(p, c.Trace, out)
	g.a = c.unit.Slope(p, c.Trace, g.dy)
	if want.Out {
		g.Gradients.Out = out
	} else {
		out.Free()
	}
	return g
}

// learn finds the parameters' gradients and, where wanted, that of the module's input x.
func (g *closedGradients) learn(x torch.Tensor, want Want) {
	c := g.closedForm
	g.Theta = append(nn.ToWeights(c.Pass, c.unit.Weigh, g.a, c.Trace.X), c.learnHead(g.delta, g.features)...)
	if want.In {
		g.In = c.unit.ToInput(c.Pass, c.Trace, g.a, x)
	}
}
