package nn

import "github.com/locus-learn/locus/torch"

// Frozen is a layer that does not learn. In training, too, it does what it does in evaluation: running statistics stay, and
// dropout leaves nothing out. Gradients pass through it to what is in front of it, if that learns; otherwise nothing is
// recorded. It has no derivative for [Pass.Along], which is by batch statistics.
type Frozen struct{ Layer Layer }

// Freeze keeps a layer's parameters from being trained: they get no gradient and no optimizer has a state for them.
func Freeze(l Layer) *Frozen {
	Hold(Params(l))
	return &Frozen{l}
}

// Hold marks parameters and buffers as ones that stay as they are.
func Hold(params []*Param) {
	for _, p := range params {
		p.Trainable, p.Frozen = false, true
		if !p.Value.IsAway() && p.Value.DType() != torch.Int64 {
			p.Value.SetRequiresGrad(false)
		}
	}
}

// Forward implements [Layer].
func (f *Frozen) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	q := *p
	q.Train = false
	return f.Layer.Forward(&q, x)
}
