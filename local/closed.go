package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// closedForm is the forward pass of a module whose body is one [nn.Unit] and whose head, if it has one, a [nn.Readout],
//
//	z = W x + b,  y = σ(z),  x_k = pool(y),  h = features(x_k),  logits = M h,
//
// with the formulas that methods without back-propagation build their gradients from.
type closedForm struct {
	*nn.Pass
	unit *nn.Unit
	head nn.Readout // without a linear layer in modules that learn without a loss of their own
	nn.Trace
}

// openUnit runs a module's body forward on x, which it does not consume.
func openUnit(p *nn.Pass, m *Module, x torch.Tensor) *closedForm {
	unit, ok := m.blocks[0].(*nn.Unit)
	if !ok || len(m.blocks) > 1 {
		panic(&torch.Error{Op: "closed form", Text: "a module must consist of one unit"})
	}
	head, _ := nn.AsReadout(m.Head)
	return &closedForm{Pass: p, unit: unit, head: head, Trace: unit.Trace(p, x)}
}

// reading is what the head makes of a unit's output.
type reading struct {
	loss          torch.Number
	features      torch.Tensor // h [N, D]
	probabilities torch.Tensor // p [N, classes], float32 or better
	delta         torch.Tensor // ∂L/∂logits = (p − t)/N, t being the labels, smoothed or not
}

// read runs the head forward and returns the cross-entropy with its gradient in the logits.
func (c *closedForm) read(y torch.Tensor, smoothing float64) reading {
	r := reading{features: c.head.Features(c.Pass, c.Out)}
	logits := float(c.Pass, c.head.Linear.Forward(c.Pass, c.Alias(r.features)))
	r.loss = c.Number(c.CrossEntropy(logits, y, smoothing))
	r.probabilities = c.Softmax(logits)
	shape := logits.Shape()
	logits.Free()
	n, classes := shape[0], shape[1]
	r.delta = c.Add(r.probabilities, c.OneHot(y, int(classes)), smoothing-1)
	r.delta.Increment(-smoothing / float64(classes))
	torch.ForeachScale([]torch.Tensor{r.delta}, 1/float64(n))
	return r
}

// descend takes a gradient in the logits to the unit's output: through Mᵀ and back through flattening and pooling.
func (c *closedForm) descend(r reading, delta torch.Tensor) torch.Tensor {
	d := c.Cast(delta, r.features.DType())
	h := nn.ToInput(c.Pass, c.head.Linear, d, r.features)
	d.Free()
	return c.head.Spread(c.Pass, h, c.Out)
}

// learnHead returns the gradients of the head's linear layer for delta at the logits and features h; none for a fixed one.
func (c *closedForm) learnHead(delta, h torch.Tensor) []torch.Tensor {
	weight, _ := c.head.Linear.Weights()
	if !weight.Trainable {
		return nil
	}
	d := c.Cast(delta, h.DType())
	defer d.Free()
	return nn.ToWeights(c.Pass, c.head.Linear, d, h)
}
