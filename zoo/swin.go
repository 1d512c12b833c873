package zoo

import (
	"cmp"
	"fmt"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

const (
	swinWindow = 7
	swinEps    = 1e-5 // of torchvision's layer normalisations
)

// newSwin builds torchvision's Swin transformer: patches embedded by a convolution and normalised, four stages of 2, 2,
// n and 2 encoder blocks (n = depth − 6) with 1, 2, 4 and 8 times heads and channels, every other block with windows
// shifted by half of one, and a patch merging between stages; LayerNorm, average pooling and a linear classifier. Each
// of these is a block. Features between blocks are maps [N, C, H, W].
func newSwin(heads int) func(Options, nn.Shape, int, nn.Init) (*Network, error) {
	return func(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
		patch := cmp.Or(o.Patch, 4)
		switch {
		case o.Depth < 7:
			return nil, fault.New("model.depth is %d: %s needs at least 7 blocks, of which the third stage has all but 6", o.Depth, o.Name)
		case in.H < patch || in.W < patch || in.H%patch != 0 || in.W%patch != 0:
			return nil, fault.New("model.image is %d×%d: %s needs a multiple of model.patch, %d", in.H, in.W, o.Name, patch)
		case o.Width%heads != 0:
			return nil, fault.New("model.width is %d: must be a multiple of the %d heads of %s", o.Width, heads, o.Name)
		}
		net := &Network{Name: o.Name, Input: in, Classes: classes}
		at := nn.Shape{C: o.Width, H: in.H / patch, W: in.W / patch}
		features, place := init.In("features"), 0
		add := func(name string, l nn.Layer) {
			net.Blocks = append(net.Blocks, nn.Block{Name: "features." + name, Layer: l, Out: at})
		}
		i := features.In("0")
		add("0", nn.Sequential{nn.NewConv2d(i.In("0"), in.C, o.Width, patch, patch, patches...), &nn.MapNorm{LayerNorm: nn.NewLayerNorm(i.In("2"), o.Width, swinEps)}})
		var ends []string
		blocks := 0
		for stage, n := range [4]int{2, 2, o.Depth - 6, 2} {
			place++
			if stage > 0 {
				l := nn.NewPatchMerging(features.In(fmt.Sprint(place)), at.C)
				at = nn.Shape{C: 2 * at.C, H: (at.H + 1) / 2, W: (at.W + 1) / 2}
				add(fmt.Sprint(place), l)
				place++
			}
			for k := range n {
				i := features.In(fmt.Sprint(place)).In(fmt.Sprint(k))
				add(fmt.Sprintf("%d.%d", place, k), newSwinBlock(i, at, heads<<stage, k%2*(swinWindow/2), dropPath(o, blocks, o.Depth)))
				blocks++
			}
			ends = append(ends, net.Blocks[len(net.Blocks)-1].Name)
		}
		net.Classifier = nn.Sequential{
			&nn.MapNorm{LayerNorm: nn.NewLayerNorm(init.In("norm"), at.C, swinEps)}, nn.AvgPool{Side: 1}, nn.Flatten{},
			nn.NewLinear(init.In("head"), at.C, classes, nn.Normal(0.02)),
		}
		net.Cuts = map[int][]string{4: ends[:3]} // by resolution
		return net, nil
	}
}

func newSwinBlock(i nn.Init, at nn.Shape, heads, shift int, drop nn.DropPath) *nn.Encoder {
	return &nn.Encoder{
		Norm1:    nn.NewLayerNorm(i.In("norm1"), at.C, swinEps),
		Norm2:    nn.NewLayerNorm(i.In("norm2"), at.C, swinEps),
		Mixer:    nn.NewWindowAttention(i.In("attn"), at.C, heads, swinWindow, shift, at.H, at.W),
		MLP:      nn.NewMLP(i.In("mlp"), "0", "3", at.C, 4*at.C),
		DropPath: drop,
	}
}
