package local

import (
	"math"
	"slices"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Checkpointed is back-propagation inside a module that keeps no more than the inputs of its segments, and runs a segment
// forward again when its gradient is due (Chen et al. 2016): less memory for about a third more time. A gradient that
// is to be differentiated again needs its whole graph; it comes from [Autograd].
type Checkpointed struct {
	Blocks int // of a segment; 0: the root of the module's, so that its segments and their inputs take about as much
}

// Lengths returns the blocks of each segment of a module of n blocks. The last one has what is left, which goes with the
// head and is not run again.
func (c Checkpointed) Lengths(n int) (lengths []int) {
	size := c.Blocks
	if size == 0 {
		size = int(math.Ceil(math.Sqrt(float64(n))))
	}
	for ; n > size; n -= size {
		lengths = append(lengths, size)
	}
	return append(lengths, n)
}

// segments divides a module's blocks.
func (c Checkpointed) segments(blocks nn.Sequential) (all nn.Sequential) {
	for _, n := range c.Lengths(len(blocks)) {
		all, blocks = append(all, blocks[:n:n]), blocks[n:]
	}
	return all
}

// behindStill puts the segments in front of the first one that learns together: they are run once, and no gradient is due to
// them. It returns the place of the one that learns.
func behindStill(segments nn.Sequential) (all nn.Sequential, first int) {
	n := 0
	for n < len(segments)-1 && len(nn.Trainable(nn.Params(segments[n]))) == 0 {
		n++
	}
	if n == 0 {
		return segments, 0
	}
	return append(nn.Sequential{segments[:n:n]}, segments[n:]...), 1
}

// Gradients implements [Credit].
func (c Checkpointed) Gradients(p *nn.Pass, m *Module, o Objective, in Signal, want Want) Gradients {
	segments, first := c.segments(m.blocks), 0
	if !want.In {
		segments, first = behindStill(segments)
	}
	last := len(segments) - 1
	if last == 0 || want.Graph {
		return Autograd{}.Gradients(p, m, o, in, want)
	}
	quiet := in.X.Device().Scope(torch.NoGrad)
	defer quiet.Close()
	inputs, marks := keepInputs(quiet, p, segments[:last], in.X)

	// The last segment goes with the head and what the objective has besides, on a graph of their own.
	leaf := p.Detach(inputs[last]).SetRequiresGrad(first < last)
	xk := p.Run(segments[last], p.Alias(leaf))
	loss := o.Loss(p, m, xk, in)
	g := Gradients{Loss: p.Number(p.Detach(loss)), X: p.Detach(xk)}
	var wrt []torch.Tensor
	if !want.Bare {
		wrt = nn.Trainable(append(nn.Params(segments[last]), m.Params[len(nn.Params(m.Body)):]...))
	}
	if first < last {
		wrt = append(wrt, leaf)
	}
	if want.Out {
		wrt = append(wrt, xk)
	}
	grads := p.Grad(loss, wrt, torch.GradOptions{})
	free([]torch.Tensor{loss, xk, leaf})
	if want.Out {
		g.Out, grads = grads[len(grads)-1], grads[:len(grads)-1]
	}
	var delta torch.Tensor
	if first < last {
		delta, grads = grads[len(grads)-1], grads[:len(grads)-1]
	}
	parts := [][]torch.Tensor{grads}

	again := *p
	again.Still = true
	for i := last - 1; i >= first; i-- {
		inputs[i+1].Free()
		p.Seek(marks[i])
		if again.Gates = nil; p.Gates.Replaying() {
			again.Gates = p.Gates
		}
		var theta []torch.Tensor
		theta, delta = rerun(&again, segments[i], inputs[i], delta, Want{In: i > first || want.In, Bare: want.Bare})
		parts = append(parts, theta)
	}
	for _, theta := range slices.Backward(parts) {
		g.Theta = append(g.Theta, theta...)
	}
	if want.In {
		g.In = delta
	}
	return g
}

// keepInputs runs segments forward unrecorded and returns the input of each, and of what follows, with the places where
// their choices begin. The inputs belong to scope quiet.
func keepInputs(quiet *torch.Scope, p *nn.Pass, segments nn.Sequential, x torch.Tensor) (inputs []torch.Tensor, marks []nn.Place) {
	q := *p
	q.Scope = quiet
	inputs = []torch.Tensor{quiet.Detach(x)}
	for i, b := range segments {
		marks = append(marks, p.At())
		inputs = append(inputs, q.Run(b, quiet.Features(inputs[i], p.Compute)))
	}
	return inputs, marks
}

// rerun runs a segment forward again on its input, recorded this time, and takes the gradient delta back through it,
// which it consumes.
func rerun(p *nn.Pass, segment nn.Layer, input, delta torch.Tensor, want Want) (theta []torch.Tensor, in torch.Tensor) {
	leaf := p.Detach(input).SetRequiresGrad(want.In)
	out := p.Run(segment, p.Features(leaf, p.Compute))
	var wrt []torch.Tensor
	if !want.Bare {
		wrt = nn.Trainable(nn.Params(segment))
	}
	if want.In {
		wrt = append(wrt, leaf)
	}
	grads := p.Grad(out, wrt, torch.GradOptions{Output: delta})
	free([]torch.Tensor{out, leaf, delta})
	if !want.In {
		return grads, torch.Tensor{}
	}
	return grads[:len(grads)-1], grads[len(grads)-1]
}
