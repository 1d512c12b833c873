package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Classify is the cross-entropy of the local head, the mean over the batch.
type Classify struct {
	Smoothing float64 // of the labels: what each of them gives away to all classes in equal parts (Szegedy et al. 2016)
}

// Loss implements [Objective].
func (c Classify) Loss(p *nn.Pass, m *Module, xk torch.Tensor, in Signal) torch.Tensor {
	logits := float(p, m.Head.Forward(p, p.Alias(xk)))
	defer logits.Free()
	if p.Tangent {
		return p.CrossEntropyTangent(logits, p.Recorded(), in.Y, c.Smoothing)
	}
	p.Point(logits)
	return p.CrossEntropy(logits, in.Y, c.Smoothing)
}

// Tangents says that the loss has a derivative for [nn.Pass.Along].
func (Classify) Tangents() bool { return true }

// SoftTargets says that labels may be soft.
func (Classify) SoftTargets() bool { return true }

// float returns x in float32 or better. It consumes x.
func float(p *nn.Pass, x torch.Tensor) torch.Tensor {
	if x.DType() != torch.BFloat16 {
		return x
	}
	defer x.Free()
	return p.Cast(x, torch.Float32)
}

// Autograd is back-propagation inside a module.
type Autograd struct{}

// Gradients implements [Credit].
func (Autograd) Gradients(p *nn.Pass, m *Module, o Objective, in Signal, want Want) Gradients {
	p.Twice = want.Graph
	x0 := p.Detach(in.X).SetRequiresGrad(want.In)
	xk := p.Run(m.Body, p.Cast(x0, p.Compute))
	loss := o.Loss(p, m, xk, in)
	wrt := append([]torch.Tensor{}, m.Theta()...)
	if want.In {
		wrt = append(wrt, x0)
	} else {
		x0.Free()
	}
	if want.Out {
		wrt = append(wrt, xk)
	}
	g := Gradients{Loss: loss.Item(), X: p.Detach(xk)}
	if want.Along != nil {
		return along(p, m, o, in, g, loss, x0, xk, want)
	}
	grads := p.Grad(loss, wrt, torch.GradOptions{CreateGraph: want.Graph})
	loss.Free()
	n := len(m.Theta())
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
