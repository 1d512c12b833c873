package zoo

import (
	"cmp"
	"fmt"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// patches are how a transformer embeds patches, which do not overlap.
var patches = []nn.Option{nn.Padding(0), nn.Bias(true), nn.Uniform()}

const vitEps = 1e-6 // of timm's layer normalisations

// newViT builds timm's vision transformer: patches embedded by a convolution, a class token in front, position
// embeddings, pre-norm encoder blocks with an MLP four times as wide, LayerNorm, and a linear classifier of the class
// token. The embedding is the first block, each encoder block another one. side is that of the patches.
func newViT(heads, side int) func(Options, nn.Shape, int, nn.Init) (*Network, error) {
	return func(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
		patch := cmp.Or(o.Patch, side)
		switch {
		case in.H < patch || in.W < patch || in.H%patch != 0 || in.W%patch != 0:
			return nil, fault.New("model.image is %d×%d: %s needs a multiple of model.patch, %d", in.H, in.W, o.Name, patch)
		case o.Width%heads != 0:
			return nil, fault.New("model.width is %d: must be a multiple of the %d heads of %s", o.Width, heads, o.Name)
		}
		net := &Network{Name: o.Name, Input: in, Classes: classes}
		at := nn.Shape{C: o.Width, H: in.H / patch, W: in.W / patch}
		at.Tokens = at.H*at.W + 1
		net.Blocks = []nn.Block{{Name: "patch_embed", Out: at, Layer: newVitEmbedding(init, in.C, at, patch)}}
		for k := range o.Depth {
			name := fmt.Sprintf("blocks.%d", k)
			i := init.In("blocks").In(fmt.Sprint(k))
			net.Blocks = append(net.Blocks, nn.Block{Name: name, Out: at, Layer: &nn.Encoder{
				Norm1:    nn.NewLayerNorm(i.In("norm1"), o.Width, vitEps),
				Norm2:    nn.NewLayerNorm(i.In("norm2"), o.Width, vitEps),
				Mixer:    nn.NewAttention(i.In("attn"), o.Width, heads),
				MLP:      nn.NewMLP(i.In("mlp"), "fc1", "fc2", o.Width, 4*o.Width),
				DropPath: dropPath(o, k, o.Depth),
			}})
		}
		net.Classifier = nn.Sequential{
			nn.ClassToken{}, nn.NewLayerNorm(init.In("norm"), o.Width, vitEps),
			nn.NewLinear(init.In("head"), o.Width, classes, nn.Normal(0.02)),
		}
		return net, nil
	}
}

// dropPath is the stochastic depth of block k (from 0) of n.
func dropPath(o Options, k, n int) nn.DropPath {
	if n == 1 {
		return nn.DropPath{}
	}
	return nn.DropPath{Rate: o.DropPath * float64(k) / float64(n-1)}
}

// newVitEmbedding turns images [N, C, H, W] into tokens [N, 1 + patches, width].
func newVitEmbedding(i nn.Init, in int, at nn.Shape, patch int) *nn.PatchEmbedding {
	return &nn.PatchEmbedding{
		Token:    i.Embedding("cls_token", 1e-6, 1, 1, int64(at.C)),
		Position: i.Embedding("pos_embed", 0.02, 1, int64(at.Tokens), int64(at.C)),
		Patches:  nn.NewConv2d(i.In("patch_embed").In("proj"), in, at.C, patch, patch, patches...),
	}
}
