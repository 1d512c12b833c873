package nn

import "github.com/locus-learn/locus/torch"

// transformerStd is the deviation of a transformer's weights at the start.
const transformerStd = 0.02

// MLP is Linear, GELU and Linear on rows.
type MLP struct{ First, Second *Linear }

// NewMLP returns an MLP whose layers have the names that the net gives them.
func NewMLP(i Init, first, second string, width, hidden int) *MLP {
	return &MLP{
		NewLinear(i.In(first), width, hidden, Normal(transformerStd)),
		NewLinear(i.In(second), hidden, width, Normal(transformerStd)),
	}
}

// Forward implements [Layer].
func (l *MLP) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	return l.Second.Forward(p, GELU{}.Forward(p, l.First.Forward(p, x)))
}

// Mixer lets the tokens of a sample see each other.
type Mixer interface {
	// Mix takes normalised rows [N·T, C], which it consumes, and returns rows of the same shape that autograd does not keep.
	Mix(p *Pass, rows torch.Tensor, samples int64) torch.Tensor
}

// Encoder is a pre-norm transformer block: x + mix(norm x), then the same with an MLP. Its in- and output are tokens
// [N, T, C] or maps [N, C, H, W].
type Encoder struct {
	Norm1    *LayerNorm
	Mixer    Mixer
	Norm2    *LayerNorm
	MLP      *MLP
	DropPath DropPath
}

// Forward implements [Layer].
func (l *Encoder) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	shape := x.Shape()
	x = p.TokenRows(x)
	x = l.DropPath.Add(p, x, l.Mixer.Mix(p, l.Norm1.Forward(p, p.Alias(x)), shape[0]), shape[0])
	x = l.DropPath.Add(p, x, l.MLP.Forward(p, l.Norm2.Forward(p, p.Alias(x))), shape[0])
	if len(shape) == 4 {
		return p.RowsMap(x, int(shape[2]), int(shape[3]))
	}
	y := p.Reshape(x, shape...)
	x.Free()
	return y
}

// Attention is multi-head self-attention (Vaswani et al. 2017).
type Attention struct {
	QKV, Proj *Linear
	Heads     int
}

// NewAttention returns attention whose layers are named qkv and proj.
func NewAttention(i Init, width, heads int) *Attention {
	return &Attention{
		NewLinear(i.In("qkv"), width, 3*width, Normal(transformerStd)),
		NewLinear(i.In("proj"), width, width, Normal(transformerStd)), heads,
	}
}

// Mix implements [Mixer].
func (l *Attention) Mix(p *Pass, rows torch.Tensor, samples int64) torch.Tensor {
	tokens := rows.Shape()[0] / samples
	qkv := l.QKV.Forward(p, rows)
	y := p.Attention(qkv, torch.AttentionOptions{Tokens: int(tokens), Heads: l.Heads})
	qkv.Free()
	return l.Proj.Forward(p, y)
}
