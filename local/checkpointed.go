package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Checkpointed is back-propagation inside a module that keeps no more than the inputs of its blocks, and runs a block
// forward again when its gradient is due (Chen et al. 2016): less memory for about a third more time. A gradient that
// is to be differentiated again needs its whole graph; it comes from [Autograd].
type Checkpointed struct{}

// Gradients implements [Credit].
func (Checkpointed) Gradients(p *nn.Pass, m *Module, o Objective, in Signal, want Want) Gradients {
	last := len(m.blocks) - 1
	if last == 0 || want.Graph {
		return Autograd{}.Gradients(p, m, o, in, want)
	}
	quiet := in.X.Device().Scope(torch.NoGrad)
	defer quiet.Close()
	inputs, marks := keepInputs(quiet, p, m.blocks[:last], in.X)

	// The last block goes with the head and what the objective has besides, on a graph of their own.
	ends := m.blocks[last:]
	leaf := p.Detach(inputs[last]).SetRequiresGrad(true)
	xk := p.Run(ends[0], p.Alias(leaf))
	loss := o.Loss(p, m, xk, in)
	g := Gradients{Loss: p.Number(p.Detach(loss)), X: p.Detach(xk)}
	wrt := append(nn.Trainable(append(nn.Params(ends[0]), m.Params[len(nn.Params(m.Body)):]...)), leaf)
	if want.Out {
		wrt = append(wrt, xk)
	}
	grads := p.Grad(loss, wrt, torch.GradOptions{})
	free([]torch.Tensor{loss, xk, leaf})
	if want.Out {
		g.Out, grads = grads[len(grads)-1], grads[:len(grads)-1]
	}
	delta := grads[len(grads)-1]
	parts := [][]torch.Tensor{grads[:len(grads)-1]}

	again := *p
	again.Still = true
	for i := last - 1; i >= 0; i-- {
		inputs[i+1].Free()
		p.Seek(marks[i])
		if again.Gates = nil; p.Gates.Replaying() {
			again.Gates = p.Gates
		}
		var theta []torch.Tensor
		theta, delta = rerun(&again, m.blocks[i], inputs[i], delta, i > 0 || want.In)
		parts = append(parts, theta)
	}
	for i := last; i >= 0; i-- {
		g.Theta = append(g.Theta, parts[i]...)
	}
	if want.In {
		g.In = delta
	}
	return g
}

// keepInputs runs blocks forward unrecorded and returns the input of each, and of what follows, with the places where
// their choices begin. The inputs belong to scope quiet.
func keepInputs(quiet *torch.Scope, p *nn.Pass, blocks nn.Sequential, x torch.Tensor) (inputs []torch.Tensor, marks []nn.Place) {
	q := *p
	q.Scope = quiet
	inputs = []torch.Tensor{quiet.Detach(x)}
	for i, b := range blocks {
		marks = append(marks, p.At())
		inputs = append(inputs, q.Run(b, quiet.Features(inputs[i], p.Compute)))
	}
	return inputs, marks
}

// rerun runs a block forward again on its input, recorded this time, and takes the gradient delta back through it,
// which it consumes.
func rerun(p *nn.Pass, block nn.Layer, input, delta torch.Tensor, wantIn bool) (theta []torch.Tensor, in torch.Tensor) {
	leaf := p.Detach(input).SetRequiresGrad(wantIn)
	out := p.Run(block, p.Features(leaf, p.Compute))
	wrt := nn.Trainable(nn.Params(block))
	if wantIn {
		wrt = append(wrt, leaf)
	}
	grads := p.Grad(out, wrt, torch.GradOptions{Output: delta})
	free([]torch.Tensor{out, leaf, delta})
	if !wantIn {
		return grads, torch.Tensor{}
	}
	return grads[:len(grads)-1], grads[len(grads)-1]
}
