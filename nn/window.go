package nn

import (
	"github.com/locus-learn/locus/torch"
)

// WindowAttention is attention inside windows of a map, which are Shift cells down and right of the plain grid of
// windows, with a bias for each relative position (Liu et al. 2021). Maps that windows do not fill are padded with
// zeros; where a window is as large as the map, there is no shift.
type WindowAttention struct {
	Table, Index *Param // [(2·Window − 1)², heads]; which of its rows belongs to each pair of a window's tokens
	Attention

	window   int
	to, back []int64 // rows of the map → rows of its windows, and back
	regions  []int64 // nil without a shift
}

// NewWindowAttention returns attention on maps of h×w cells.
func NewWindowAttention(i Init, width, heads, window, shift, h, w int) *WindowAttention {
	l := &WindowAttention{window: window}
	l.Table = i.Embedding("relative_position_bias_table", transformerStd, int64((2*window-1)*(2*window-1)), int64(heads))
	l.Index = i.given("relative_position_index", torch.Int64, l.positions, int64(window*window*window*window))
	l.Attention = *NewAttention(i, width, heads)
	l.plan(h, w, shift)
	return l
}

// positions numbers relative positions: those of query (y, x) and key (v, u) are y − v and x − u.
func (l *WindowAttention) positions() []float64 {
	n := l.window
	all := make([]float64, 0, n*n*n*n)
	for q := range n * n {
		for k := range n * n {
			dy, dx := q/n-k/n+n-1, q%n-k%n+n-1
			all = append(all, float64(dy*(2*n-1)+dx))
		}
	}
	return all
}

// axis divides one side of a map: which cell each place of the padded, shifted side comes from (−1: padding), and which
// region it is in, as a shift brings cells from opposite borders together.
func axis(side, window, shift int) (cells, regions []int, shifted bool) {
	padded := (side + window - 1) / window * window
	if padded <= window {
		shift = 0
	}
	for j := range padded {
		cell := (j + shift) % padded
		if cell >= side {
			cell = -1
		}
		region := 0
		if shift > 0 {
			switch {
			case j >= padded-shift:
				region = 2
			case j >= padded-window:
				region = 1
			}
		}
		cells, regions = append(cells, cell), append(regions, region)
	}
	return cells, regions, shift > 0
}

// plan lays out the rows of windows, window by window.
func (l *WindowAttention) plan(h, w, shift int) {
	ys, yr, down := axis(h, l.window, shift)
	xs, xr, right := axis(w, l.window, shift)
	l.back = make([]int64, h*w)
	for top := 0; top < len(ys); top += l.window {
		for left := 0; left < len(xs); left += l.window {
			for t := range l.window * l.window {
				y, x := top+t/l.window, left+t%l.window
				cell := int64(-1)
				if ys[y] >= 0 && xs[x] >= 0 {
					cell = int64(ys[y]*w + xs[x])
					l.back[cell] = int64(len(l.to))
				}
				l.to = append(l.to, cell)
				if down || right {
					l.regions = append(l.regions, int64(3*yr[y]+xr[x]))
				}
			}
		}
	}
}

// Windows says how the map's rows are moved: window is the side of one, to lists the rows of the map window by window (−1: a
// row of zeros), back those of all windows in the map's order, and regions what may see each other in a window; nil without a
// shift. They belong to the layer.
func (l *WindowAttention) Windows() (window int, to, back, regions []int64) {
	return l.window, l.to, l.back, l.regions
}

// Mix implements [Mixer].
func (l *WindowAttention) Mix(p *Pass, rows torch.Tensor, samples int64) torch.Tensor {
	qkv := l.QKV.Forward(p, l.move(p, rows, samples, l.to))
	bias := l.bias(p)
	tokens := l.window * l.window
	y := p.Attention(qkv, torch.AttentionOptions{Tokens: tokens, Heads: l.Heads, Bias: bias, Regions: l.regions})
	qkv.Free()
	bias.Free()
	// The projection works on rows one by one: back in the map it has no padding to work on.
	return l.Proj.Forward(p, l.move(p, y, samples, l.back))
}

// move rearranges the rows of every sample. It consumes them.
func (*WindowAttention) move(p *Pass, rows torch.Tensor, samples int64, to []int64) torch.Tensor {
	x := p.Reshape(rows, samples, -1, rows.Shape()[1])
	rows.Free()
	moved := p.MoveRows(x, to)
	x.Free()
	return p.TokenRows(moved)
}

// bias returns [heads, T, T].
func (l *WindowAttention) bias(p *Pass) torch.Tensor {
	tokens := int64(l.window * l.window)
	table := p.Weight(l.Table)
	pairs := p.Rows(table, l.Index.Value)
	table.Free()
	square := p.Reshape(pairs, tokens, tokens, int64(l.Heads))
	pairs.Free()
	y := p.Permute(square, 2, 0, 1)
	square.Free()
	return y
}

// PatchMerging halves a map and doubles its channels: 2×2 cells side by side, LayerNorm and a linear layer without bias
// (Liu et al. 2021). Odd sides are padded with zeros.
type PatchMerging struct {
	Reduction *Linear
	Norm      *LayerNorm
}

// NewPatchMerging returns the merging of maps of width channels.
func NewPatchMerging(i Init, width int) *PatchMerging {
	return &PatchMerging{NewLinear(i.In("reduction"), 4*width, 2*width, Normal(transformerStd), Bias(false)), NewLayerNorm(i.In("norm"), 4*width, 1e-5)}
}

// Forward implements [Layer].
func (l *PatchMerging) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	shape := x.Shape()
	n, c, h, w := shape[0], shape[1], int(shape[2]), int(shape[3])
	rows := Unfold{}.Forward(p, x)
	quads := p.MoveRows(rows, MergedRows(h, w))
	rows.Free()
	merged := p.Reshape(quads, n*int64((h+1)/2*((w+1)/2)), 4*c)
	quads.Free()
	return p.RowsMap(l.Reduction.Forward(p, l.Norm.Forward(p, merged)), (h+1)/2, (w+1)/2)
}

// MergedRows lists the four cells of every square of a map in their published order: down first, then right. −1 is a cell of
// zeros.
func MergedRows(h, w int) (to []int64) {
	for y := 0; y < h; y += 2 {
		for x := 0; x < w; x += 2 {
			for q := range 4 {
				v, u := y+q%2, x+q/2
				cell := int64(-1)
				if v < h && u < w {
					cell = int64(v*w + u)
				}
				to = append(to, cell)
			}
		}
	}
	return to
}
