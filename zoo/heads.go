package zoo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// HeadOptions is the `head` section of a recipe: the local classifier of every module but the last, which has the
// network's own.
type HeadOptions struct {
	Name   string `recipe:"name" default:"conv" doc:"local head; 'locus list heads' shows them"`
	Width  int    `recipe:"width" default:"128" min:"0" doc:"channels inside the conv head; 0 = as many as its features have, the light choice"`
	Pool   string `recipe:"pool" default:"mean" oneof:"mean class" doc:"what the tokens head looks at: the mean of the tokens or the class token"`
	Widths []int  `recipe:"widths" default:"2048,8192,8192,8192" min:"1" doc:"of the projector: its convolution, its linear layers"`
}

// Head is an entry in the list of local heads.
type Head struct {
	Name, Doc string
	Embeds    bool // it puts out embeddings for self-supervised losses instead of logits
	tokens    bool // it takes tokens as they are; others get the map of their grid
	build     func(o HeadOptions, in nn.Shape, classes int, init nn.Init) (nn.Layer, error)
}

var heads = []Head{
	{Name: "linear", Doc: "global average pooling and a linear layer", build: newLinearHead},
	{Name: "conv", Doc: "3×3 convolution to `width` channels, BN, ReLU, 2×2 average pool, BN, linear (Belilovsky et al. 2019, k=2)", build: newConvHead},
	{Name: "dgl", Doc: "pooling to a quarter of the side, three 1×1 convolutions, 2×2 pool, three hidden linear layers, linear (mlp-sr; Belilovsky et al. 2020)", build: newDGLHead},
	{Name: "infopro", Doc: "a few convolutions, pooling, linear: one 3×3 and a hidden layer on small maps, up to 2048 channels on large ones (Wang et al. 2021)", build: newInfoProHead},
	{Name: "tokens", Doc: "LayerNorm, mean over tokens or cells (or the class token), linear; for transformers", tokens: true, build: newTokensHead},
	{Name: "projector", Doc: "1×1 convolution, pooling and linear layers to embeddings of widths 2048,8192,8192,8192 (Siddiqui et al. 2023); for self-supervised learning", Embeds: true, build: newProjector},
}

// Heads lists the local heads.
func Heads() []Head { return slices.Clone(heads) }

// NewHead builds the local head of module k (from 1) on features of shape in. Its parameters are named heads.<k>.…. All
// heads but `tokens` see tokens as the map of their grid.
func NewHead(o HeadOptions, k int, in nn.Shape, classes int, init nn.Init) (nn.Layer, error) {
	h, err := lookupHead(o.Name)
	if err != nil {
		return nil, err
	}
	if h.Embeds {
		return nil, fault.New("head.name is %s: its embeddings are no classes; a classifying method needs another one", o.Name)
	}
	return h.on(o, k, in, classes, init)
}

// NewEmbeddingHead builds the head of module k that gives a self-supervised loss its embeddings [N, D].
func NewEmbeddingHead(o HeadOptions, k int, in nn.Shape, init nn.Init) (nn.Layer, error) {
	h, err := lookupHead(o.Name)
	if err != nil {
		return nil, err
	}
	if !h.Embeds {
		return nil, fault.New("head.name is %s: a self-supervised method needs embeddings, such as projector's", o.Name)
	}
	return h.on(o, k, in, 0, init)
}

func lookupHead(name string) (Head, error) {
	i := slices.IndexFunc(heads, func(h Head) bool { return h.Name == name })
	if i >= 0 {
		return heads[i], nil
	}
	var names []string
	for _, h := range heads {
		names = append(names, h.Name)
	}
	return Head{}, fault.New("head.name is %q: must be one of %s", name, strings.Join(names, ", "))
}

func (h Head) on(o HeadOptions, k int, in nn.Shape, classes int, init nn.Init) (nn.Layer, error) {
	init = init.In(fmt.Sprintf("heads.%d", k))
	if in.Tokens == 0 || h.tokens {
		return h.build(o, in, classes, init)
	}
	head, err := h.build(o, in.Map(), classes, init)
	if err != nil {
		return nil, err
	}
	return nn.Sequential{nn.Fold{In: in}, head}, nil
}

func newLinearHead(_ HeadOptions, in nn.Shape, classes int, init nn.Init) (nn.Layer, error) {
	fc := nn.NewLinear(init.In("fc"), in.C, classes)
	if in.H == 0 {
		return fc, nil
	}
	return nn.Sequential{nn.AvgPool{Side: 1}, nn.Flatten{}, fc}, nil
}

func newConvHead(o HeadOptions, in nn.Shape, classes int, init nn.Init) (nn.Layer, error) {
	if in.H < 2 || in.W < 2 {
		return nil, fault.New("head.name is conv: needs feature maps of at least 2×2, the module's output is %d×%d; use head.name=linear", in.H, in.W)
	}
	width := cmp.Or(o.Width, in.C)
	return nn.Sequential{
		nn.NewConvNormReLU(init, "conv", "bn1", in.C, width, 3, 1),
		nn.AvgPool{Side: 2},
		nn.NewBatchNorm2d(init.In("bn2"), width),
		nn.Flatten{},
		nn.NewLinear(init.In("fc"), 4*width, classes),
	}, nil
}

// newTokensHead builds LayerNorm, a mean over tokens or the class token, and a linear layer. Of a map it normalises
// every cell's channels.
func newTokensHead(o HeadOptions, in nn.Shape, classes int, init nn.Init) (nn.Layer, error) {
	norm, fc := nn.NewLayerNorm(init.In("norm"), in.C, vitEps), nn.NewLinear(init.In("fc"), in.C, classes)
	switch {
	case in.H == 0:
		return nn.Sequential{norm, fc}, nil
	case in.Tokens > in.H*in.W && o.Pool == "class":
		return nn.Sequential{nn.ClassToken{}, norm, fc}, nil
	case o.Pool == "class":
		nn.Free(append(norm.Params(), fc.Params()...))
		return nil, fault.New("head.pool is class: the module's output has no class token; use head.pool=mean")
	case in.Tokens == 0:
		return nn.Sequential{nn.Unfold{}, norm, nn.TokenMean{}, fc}, nil
	default:
		return nn.Sequential{norm, nn.TokenMean{}, fc}, nil
	}
}

// newDGLHead builds decoupled greedy learning's mlp-sr.
func newDGLHead(_ HeadOptions, in nn.Shape, classes int, init nn.Init) (nn.Layer, error) {
	if in.H == 0 {
		return nil, fault.New("head.name is dgl: needs feature maps, the module's output is a vector; use head.name=linear")
	}
	head := nn.Sequential{nn.AvgPool{Side: sideAfter(max(in.H, in.W), 4)}}
	for i := 1; i <= 3; i++ {
		head = append(head, nn.NewConvNormReLU(init, fmt.Sprint("conv", i), fmt.Sprint("bn", i), in.C, in.C, 1, 1))
	}
	head = append(head, nn.AvgPool{Side: 2}, nn.Flatten{})
	for i := 1; i <= 3; i++ {
		fc := nn.NewLinear(init.In(fmt.Sprint("fc", i)), 4*in.C, 4*in.C)
		head = append(head, &nn.LinearNormReLU{Linear: fc, Norm: nn.NewBatchNorm2d(init.In(fmt.Sprint("bn", 3+i)), 4*in.C)})
	}
	return append(head, nn.NewLinear(init.In("fc"), 4*in.C, classes)), nil
}

// newProjector builds a 1×1 convolution with BN and ReLU, global average pooling, and linear layers without bias, of
// which all but the last have BN and ReLU. The last BN, which has no parameters, belongs to the loss.
func newProjector(o HeadOptions, in nn.Shape, _ int, init nn.Init) (nn.Layer, error) {
	if in.H == 0 {
		return nil, fault.New("head.name is projector: needs feature maps, the module's output is a vector")
	}
	if len(o.Widths) < 2 {
		return nil, fault.New("head.widths is %v: must be the widths of the projector's convolution and of at least one linear layer", o.Widths)
	}
	head := nn.Sequential{nn.NewConvNormReLU(init, "conv", "bn", in.C, o.Widths[0], 1, 1), nn.AvgPool{Side: 1}, nn.Flatten{}}
	for i, out := range o.Widths[1:] {
		fc := nn.NewUnbiasedLinear(init.In(fmt.Sprint("fc", i+1)), o.Widths[i], out)
		if i == len(o.Widths)-2 {
			return append(head, fc), nil
		}
		head = append(head, &nn.LinearNormReLU{Linear: fc, Norm: nn.NewBatchNorm2d(init.In(fmt.Sprint("bn", i+1)), out)})
	}
	return head, nil
}
