package nn

import "github.com/locus-learn/locus/torch"

// Upsample resizes [N, C, …] to H×W bilinearly, the corners of both grids on each other.
type Upsample struct{ H, W int }

// Forward implements [Layer].
func (l Upsample) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	y := p.UpsampleBilinear(x, int64(l.H), int64(l.W))
	x.Free()
	return y
}
