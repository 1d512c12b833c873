package plan

import "github.com/locus-learn/locus/torch"

// Piece is a block by itself, under back-propagation: what no cut divides.
type Piece struct {
	Block             string
	Forward, Backward float64 // seconds for a batch on this machine; the last block's with the classifier and the loss
	OutBytes          int64   // of its features
	GradientBytes     int64   // of its parameters
}

// Pieces measures the blocks for a batch, in order.
func (p *Planner) Pieces(batch int) (all []Piece, err error) {
	defer torch.Catch(&err)
	defer catchStop(&err)
	views := float64(p.views())
	for i, b := range p.blocks {
		c := p.block(b, kind{starts: i == 0}).at(batch)
		all = append(all, Piece{
			Block: b.Name, Forward: views * c.ahead, Backward: views * (c.seconds - c.ahead),
			OutBytes: int64(views * float64(batch) * sampleBytes(b.Out, p.spec.DType)), GradientBytes: b.rest.grads,
		})
	}
	n := len(p.blocks)
	t := p.objective(n, 1, 1)
	if t.err != nil {
		return nil, t.err
	}
	last := &all[n-1]
	last.Backward += p.objectiveLine(t, kind{}).at(batch).seconds
	last.GradientBytes += t.rest.grads
	return all, nil
}
