package export

import (
	"math"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// apart is what is added to the score of two tokens that must not see each other.
const apart = -100

// tokenLayer draws the layers of transformers.
func (g *Graph) tokenLayer(l nn.Layer, x Value) (Value, error) {
	switch l := l.(type) {
	case *nn.LayerNorm:
		return g.layerNorm(l, x), nil
	case *nn.MapNorm:
		return g.fold(g.layerNorm(l.LayerNorm, g.unfold(x)), x.Dims[2], x.Dims[3]), nil
	case nn.Unfold:
		return g.unfold(x), nil
	case nn.Fold:
		cells := int64(l.In.H * l.In.W)
		if extra := x.Dims[1] - cells; extra > 0 {
			x = g.Add(Narrow, []int64{-1, cells, x.Dims[2]}, 0, []int64{1, extra, cells}, x.Name)
		}
		return g.fold(x, int64(l.In.H), int64(l.In.W)), nil
	case nn.ClassToken:
		return g.Add(Select, []int64{-1, x.Dims[2]}, 0, []int64{1, 0}, x.Name), nil
	case nn.TokenMean:
		return g.Add(Mean, []int64{-1, x.Dims[2]}, 0, []int64{1}, x.Name), nil
	case *nn.MLP:
		return g.linear(l.Second, g.same(GELU, g.linear(l.First, x))), nil
	case *nn.PatchEmbedding:
		return g.embed(l, x), nil
	case *nn.PatchMerging:
		return g.merge(l, x), nil
	case *nn.Encoder:
		return g.encoder(l, x)
	}
	return x, refuse(l)
}

func (g *Graph) layerNorm(l *nn.LayerNorm, x Value) Value {
	return g.Add(LayerNorm, x.Dims, l.Eps, nil, x.Name, g.Param(l.Weight), g.Param(l.Bias))
}

func (g *Graph) permute(x Value, order ...int64) Value {
	dims := make([]int64, len(order))
	for i, from := range order {
		dims[i] = x.Dims[from]
	}
	return g.Add(Permute, dims, 0, order, x.Name)
}

// unfold turns a map into tokens, row by row.
func (g *Graph) unfold(x Value) Value {
	return g.permute(g.reshape(x, x.Dims[1], x.Dims[2]*x.Dims[3]), 0, 2, 1)
}

// fold turns tokens into a map.
func (g *Graph) fold(x Value, h, w int64) Value {
	return g.reshape(g.permute(x, 0, 2, 1), x.Dims[2], h, w)
}

func (g *Graph) embed(l *nn.PatchEmbedding, x Value) Value {
	cells := g.unfold(g.conv(l.Patches, x))
	token := g.Add(Each, []int64{-1, 1, cells.Dims[2]}, 0, nil, g.Param(l.Token), cells.Name)
	all := g.Add(Cat, []int64{-1, cells.Dims[1] + 1, cells.Dims[2]}, 0, []int64{1}, token.Name, cells.Name)
	return g.plus(all, g.Param(l.Position))
}

// move rearranges the rows of each sample; −1 is a row of zeros.
func (g *Graph) move(x Value, to []int64) Value {
	zeros, index := x.Dims[1], append([]int64{}, to...)
	padded := false
	for i, from := range index {
		if from < 0 {
			index[i], padded = zeros, true
		}
	}
	if padded {
		x = g.Add(ZeroRow, []int64{-1, zeros + 1, x.Dims[2]}, 0, nil, x.Name)
	}
	n := int64(len(index))
	return g.Add(Rows, []int64{-1, n, x.Dims[2]}, 0, nil, x.Name, g.ints(index, n))
}

func (g *Graph) merge(l *nn.PatchMerging, x Value) Value {
	c, h, w := x.Dims[1], x.Dims[2], x.Dims[3]
	quads := g.move(g.unfold(x), nn.MergedRows(int(h), int(w)))
	rows := g.layerNorm(l.Norm, g.reshape(quads, (h+1)/2*((w+1)/2), 4*c))
	return g.fold(g.linear(l.Reduction, rows), (h+1)/2, (w+1)/2)
}

func (g *Graph) encoder(l *nn.Encoder, x Value) (Value, error) {
	rows, shape := x, x.Dims
	if len(shape) == 4 {
		rows = g.unfold(x)
	}
	mixed, err := g.mix(l.Mixer, g.layerNorm(l.Norm1, rows))
	if err != nil {
		return x, err
	}
	rows = g.plus(mixed, rows.Name)
	h := g.linear(l.MLP.Second, g.same(GELU, g.linear(l.MLP.First, g.layerNorm(l.Norm2, rows))))
	rows = g.plus(h, rows.Name)
	if len(shape) == 4 {
		return g.fold(rows, shape[2], shape[3]), nil
	}
	return rows, nil
}

func (g *Graph) mix(m nn.Mixer, x Value) (Value, error) {
	switch m := m.(type) {
	case *nn.Attention:
		return g.linear(m.Proj, g.attention(m, x, "", nil)), nil
	case *nn.WindowAttention:
		window, to, back, regions := m.Windows()
		tokens := int64(window * window)
		windows := int64(len(to)) / tokens
		x = g.reshape(g.move(x, to), tokens, x.Dims[2])
		y := g.attention(&m.Attention, x, g.bias(m, tokens), g.mask(regions, windows, tokens))
		return g.linear(m.Proj, g.move(g.reshape(y, windows*tokens, y.Dims[2]), back)), nil
	}
	return x, fault.New("mixer %T cannot be exported: fits nn.Attention and nn.WindowAttention", m)
}

// bias is added to the scores: [heads, T, T].
func (g *Graph) bias(m *nn.WindowAttention, tokens int64) string {
	heads := int64(m.Heads)
	pairs := g.Add(Table, []int64{tokens * tokens, heads}, 0, nil, g.Param(m.Table), g.Param(m.Index))
	dims := []int64{tokens, tokens, heads}
	square := g.Add(Reshape, dims, 0, dims, pairs.Name)
	return g.permute(square, 2, 0, 1).Name
}

// mask keeps tokens of different regions apart: [windows, 1, T, T]; nil without regions.
func (g *Graph) mask(regions []int64, windows, tokens int64) *Value {
	if regions == nil {
		return nil
	}
	values := make([]float32, 0, windows*tokens*tokens)
	for w := range windows {
		of := regions[w*tokens : (w+1)*tokens]
		for _, query := range of {
			for _, key := range of {
				value := float32(0)
				if query != key {
					value = apart
				}
				values = append(values, value)
			}
		}
	}
	dims := []int64{windows, 1, tokens, tokens}
	return &Value{g.constant(Constant{Dims: dims, Floats: values}), dims}
}

// attention is softmax(q kᵀ/√d + bias + mask) v of tokens, behind the product with qkv and before the projection.
func (g *Graph) attention(a *nn.Attention, x Value, bias string, mask *Value) Value {
	t, c, heads := x.Dims[1], x.Dims[2], int64(a.Heads)
	d := c / heads
	parts := g.permute(g.reshape(g.linear(a.QKV, x), t, 3, heads, d), 2, 0, 3, 1, 4)
	part := func(i int64) Value { return g.Add(Select, []int64{-1, heads, t, d}, 0, []int64{0, i}, parts.Name) }
	q := part(0)
	q = g.Add(Scale, q.Dims, 1/math.Sqrt(float64(d)), nil, q.Name)
	scores := g.Add(MatMul, []int64{-1, heads, t, t}, 0, nil, q.Name, g.permute(part(1), 0, 1, 3, 2).Name)
	if bias != "" {
		scores = g.plus(scores, bias)
	}
	if mask != nil {
		scores = g.reshape(g.plus(g.reshape(scores, mask.Dims[0], heads, t, t), mask.Name), heads, t, t)
	}
	y := g.Add(MatMul, []int64{-1, heads, t, d}, 0, nil, g.same(Softmax, scores).Name, part(2).Name)
	return g.reshape(g.permute(y, 0, 2, 1, 3), t, c)
}
