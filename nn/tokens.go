package nn

import "github.com/locus-learn/locus/torch"

// LayerNorm normalises the last dimension of [N, …, C] (Ba et al. 2016), in float32 whatever the pass computes in.
type LayerNorm struct {
	Weight, Bias *Param
	Eps          float64
}

// NewLayerNorm returns the identity's normalisation: weight 1, bias 0.
func NewLayerNorm(i Init, width int, eps float64) *LayerNorm {
	return &LayerNorm{i.constant("weight", 1, int64(width)), i.Bias(width), eps}
}

// Forward implements [Layer].
func (l *LayerNorm) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	y := p.LayerNorm(x, l.Weight.Value, l.Bias.Value, l.Eps)
	x.Free()
	return y
}

// TokenRows turns a map [N, C, H, W] into rows [N·H·W, C], or tokens [N, T, C] into [N·T, C]. It consumes x, of which
// the result is a view where the layout allows.
func (p *Pass) TokenRows(x torch.Tensor) torch.Tensor {
	shape := x.Shape()
	channels := shape[len(shape)-1]
	if len(shape) == 4 {
		channels = shape[1]
		moved := p.Permute(x, 0, 2, 3, 1)
		x.Free()
		x = moved
	}
	rows := p.Reshape(x, -1, channels)
	x.Free()
	return rows
}

// RowsMap turns rows [N·H·W, C] into a map [N, C, H, W] in channels-last layout, a view. It consumes rows.
func (p *Pass) RowsMap(rows torch.Tensor, h, w int) torch.Tensor {
	grid := p.Reshape(rows, -1, int64(h), int64(w), rows.Shape()[1])
	rows.Free()
	y := p.Permute(grid, 0, 3, 1, 2)
	grid.Free()
	return y
}

// Fold turns tokens into the map of their grid; tokens without a place in it are left out. In has to be the shape of
// tokens.
type Fold struct{ In Shape }

// Forward implements [Layer].
func (l Fold) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	cells := int64(l.In.H * l.In.W)
	if extra := int64(l.In.Tokens) - cells; extra > 0 {
		grid := p.Narrow(x, 1, extra, cells)
		x.Free()
		x = grid
	}
	return p.RowsMap(p.TokenRows(x), l.In.H, l.In.W)
}

// ClassToken takes the first token of [N, T, C].
type ClassToken struct{}

// Forward implements [Layer].
func (ClassToken) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	first := p.Narrow(x, 1, 0, 1)
	x.Free()
	y := p.Reshape(first, first.Shape()[0], first.Shape()[2])
	first.Free()
	return y
}

// TokenMean averages [N, T, C] over the tokens.
type TokenMean struct{}

// Forward implements [Layer].
func (TokenMean) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	y := p.MeanDim(x, 1)
	x.Free()
	return y
}

// Unfold turns a map [N, C, H, W] into tokens [N, H·W, C], row by row.
type Unfold struct{}

// Forward implements [Layer].
func (Unfold) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	shape := x.Shape()
	rows := p.TokenRows(x)
	y := p.Reshape(rows, shape[0], shape[2]*shape[3], shape[1])
	rows.Free()
	return y
}

// MapNorm normalises the channels of every cell of a map [N, C, H, W].
type MapNorm struct{ *LayerNorm }

// Forward implements [Layer].
func (l *MapNorm) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	shape := x.Shape()
	return p.RowsMap(l.LayerNorm.Forward(p, p.TokenRows(x)), int(shape[2]), int(shape[3]))
}

// PatchEmbedding turns images [N, C, H, W] into tokens [N, 1 + patches, width]: a class token in front, then the patches row
// by row, and a position added to each.
type PatchEmbedding struct {
	Token, Position *Param // [1, 1, width], [1, 1 + patches, width]
	Patches         *Conv2d
}

// Forward implements [Layer].
func (l *PatchEmbedding) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	cells := Unfold{}.Forward(p, l.Patches.Forward(p, x))
	token, position := p.Weight(l.Token), p.Weight(l.Position)
	each := p.Expand(token, cells.Shape()[0], -1, -1)
	y := p.Cat(each, cells, 1)
	p.AddInPlace(y, position, 1)
	for _, t := range []torch.Tensor{cells, token, position, each} {
		t.Free()
	}
	return y
}
