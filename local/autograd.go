package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Autograd is back-propagation inside a module.
type Autograd struct{}

// Gradients implements [Credit].
func (Autograd) Gradients(p *nn.Pass, m *Module, o Objective, in Signal, want Want) Gradients {
	p.Twice = want.Graph
	x0 := p.Detach(in.X).SetRequiresGrad(want.In)
	xk := p.Run(m.Body, p.Features(x0, p.Compute))
	loss := o.Loss(p, m, xk, in)
	var wrt []torch.Tensor
	if !want.Bare {
		wrt = append(wrt, m.Theta()...)
	}
	n := len(wrt)
	if want.In {
		wrt = append(wrt, x0)
	} else {
		x0.Free()
	}
	if want.Out {
		wrt = append(wrt, xk)
	}
	g := Gradients{Loss: p.Number(p.Detach(loss)), X: p.Detach(xk)}
	if want.Along != nil {
		return along(p, m, o, in, g, loss, x0, xk, want)
	}
	grads := p.Grad(loss, wrt, torch.GradOptions{CreateGraph: want.Graph})
	loss.Free()
	g.Theta, grads = grads[:n], grads[n:]
	if want.In {
		g.In, grads = grads[0], grads[1:]
		x0.Free()
	}
	if want.Out {
		g.Out = p.Detach(grads[0])
		grads[0].Free()
	}
	xk.Free()
	return g
}
