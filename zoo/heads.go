package zoo

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/registry"
	"github.com/locus-learn/locus/nn"
)

// HeadOptions is the `head` section of a recipe: the local classifier of every module but the last, which has the
// network's own.
type HeadOptions struct {
	Name   string `recipe:"name" default:"conv" oneof:"@" doc:"local head; 'locus list heads' shows them; methods such as dgl bring their own"`
	Width  int    `recipe:"width" default:"128" min:"0" max:"65536" doc:"channels inside the conv head; 0 = as many as its features have, the light choice"`
	Pool   string `recipe:"pool" default:"mean" oneof:"mean class" doc:"what the tokens head looks at: the mean of the tokens or the class token"`
	Side   int    `recipe:"side" default:"0" min:"0" max:"4096" doc:"etf: side of the grid of cells that maps are averaged into; 0 = the smallest that gives classes-1 features"`
	Widths []int  `recipe:"widths" default:"2048,8192,8192,8192" min:"1" max:"65536" len:"16" doc:"of the projector: its convolution, its linear layers"`

	Depth    int `recipe:"depth" default:"5" min:"1" max:"4096" doc:"auglocal: blocks in the first module's head"`
	DepthMin int `recipe:"depth_min" default:"0" min:"0" max:"4096" doc:"auglocal: blocks in the head of the last module but one, linear in between; 0 = (depth + 1)/2"`

	Sample string `recipe:"sample" default:"even" oneof:"even next" doc:"auglocal: which blocks behind the module its head is like: some of them evenly, up to the last, or those that come next"`
}

// Head is an entry in the list of local heads.
type Head struct {
	Name, Doc string
	Embeds    bool // it puts out embeddings for losses of their own instead of logits
	Mirrors   bool // it repeats blocks of the network, and so depends on the place of the cut

	// Build returns the head behind a cut: features of shape at.Out() → logits [N, at.Net.Classes], or embeddings.
	Build func(o HeadOptions, at Cut, init nn.Init) (nn.Layer, error)
}

// onShape is the builder of a head that needs no more of the network than the features' shape and the classes. It sees
// tokens as the map of their grid.
func onShape(build headOnShape) func(HeadOptions, Cut, nn.Init) (nn.Layer, error) {
	return func(o HeadOptions, at Cut, init nn.Init) (nn.Layer, error) {
		in := at.Out()
		head, err := build(o, in.Map(), at.Net.Classes, init)
		if err != nil || in.Tokens == 0 {
			return head, err
		}
		return nn.Sequential{nn.Fold{In: in}, head}, nil
	}
}

type headOnShape = func(o HeadOptions, in nn.Shape, classes int, init nn.Init) (nn.Layer, error)

// onTokens is the builder of a head that takes tokens as they are.
func onTokens(build headOnShape) func(HeadOptions, Cut, nn.Init) (nn.Layer, error) {
	return func(o HeadOptions, at Cut, init nn.Init) (nn.Layer, error) {
		return build(o, at.Out(), at.Net.Classes, init)
	}
}

var heads = registry.New("head.name", func(h Head) string { return h.Name })

func init() {
	for _, h := range []Head{
		{Name: "linear", Doc: "global average pooling and a linear layer", Build: onShape(newLinearHead)},
		{Name: "conv", Doc: "3×3 convolution to `width` channels, BN, ReLU, 2×2 average pool, BN, linear (Belilovsky et al. 2019, k=2)", Build: onShape(newConvHead)},
		{Name: "dgl", Doc: "pooling to a quarter of the side, three 1×1 convolutions, 2×2 pool, three hidden linear layers, linear (mlp-sr; Belilovsky et al. 2020)", Build: onShape(newDGLHead)},
		{Name: "infopro", Doc: "a few convolutions, pooling, linear: one 3×3 and a hidden layer on small maps, up to 2048 channels on large ones (Wang et al. 2021)", Build: onShape(newInfoProHead)},
		{Name: "auglocal", Doc: "`depth` blocks like those behind the module, sampled evenly, fewer towards the output, pooling, linear (Ma et al. 2024)", Mirrors: true, Build: newAugLocalHead},
		{Name: "etf", Doc: "average pooling and a fixed simplex equiangular tight frame (Eq. 7); nothing is trained", Build: onShape(newETFHead)},
		{Name: "contrast", Doc: "infopro's with an embedding of 128 in place of the classes; infopro-contrast has it", Embeds: true, Build: onShape(newContrastHead)},
		{Name: "none", Doc: "no head: methods without local losses bring it along", Embeds: true, Build: newNoHead},
		{Name: "tokens", Doc: "LayerNorm, mean over tokens or cells (or the class token), linear; for transformers", Build: onTokens(newTokensHead)},
		{Name: "projector", Doc: "1×1 convolution, pooling and linear layers to embeddings of widths 2048,8192,8192,8192 (Siddiqui et al. 2023); for self-supervised learning", Embeds: true, Build: onShape(newProjector)},
	} {
		RegisterHead(h)
	}
}

// RegisterHead adds a local head, which recipes then name in head.name. It panics on a name that is taken or on an entry
// that cannot be built.
func RegisterHead(h Head) {
	if h.Build == nil {
		panic("head " + h.Name + " has no Build")
	}
	heads.Add(h)
}

// Heads lists the local heads in the order in which they were registered.
func Heads() []Head { return heads.All() }

// LookupHead finds a head that gives logits, or, for a method that prescribes it, any.
func LookupHead(name string, prescribed bool) (Head, error) {
	var names []string
	for _, h := range heads.All() {
		switch {
		case h.Name == name && h.Embeds && !prescribed:
			return h, fault.New("head.name is %s: its embeddings are no classes; methods that learn from them bring it along", name)
		case h.Name == name:
			return h, nil
		case !h.Embeds:
			names = append(names, h.Name)
		}
	}
	return Head{}, fault.New("head.name is %q: must be one of %s", name, strings.Join(names, ", "))
}

// New builds the local head of the module in front of a cut. Its parameters are named heads.<k>.….
func (h Head) New(o HeadOptions, at Cut, init nn.Init) (nn.Layer, error) {
	init = init.In(fmt.Sprintf("heads.%d", at.Module))
	err := rehearse(&init, func(init nn.Init) (nn.Layer, error) { return h.Build(o, at, init) })
	if tooLarge, ok := errors.AsType[*nn.TooLarge](err); ok {
		return nil, fault.New("head.name is %s: %w: fits with a smaller head.width, head.widths, head.depth or model.classes", h.Name, tooLarge)
	}
	if err != nil {
		return nil, err
	}
	head, err := h.Build(o, at, init)
	if front, last, ok := nn.SplitLinear(head); ok && at.Net.Scale != 0 && !h.Embeds {
		head = append(front, nn.Scale{Factor: at.Net.Scale}, last)
	}
	return head, err
}

// rehearse tries whether the parameters of a layer fit into init's room, which it gives it if there is none.
func rehearse(init *nn.Init, build func(nn.Init) (nn.Layer, error)) error {
	init.Room = cmp.Or(init.Room, Room())
	return init.Rehearse(func(init nn.Init) ([]*nn.Param, error) {
		l, err := build(init)
		if err != nil || l == nil {
			return nil, err
		}
		return nn.Params(l), nil
	})
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
		nn.Free(append(nn.Params(norm), nn.Params(fc)...))
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
		fc := nn.NewLinear(init.In(fmt.Sprint("fc", i+1)), o.Widths[i], out, nn.Bias(false))
		if i == len(o.Widths)-2 {
			return append(head, fc), nil
		}
		head = append(head, &nn.LinearNormReLU{Linear: fc, Norm: nn.NewBatchNorm2d(init.In(fmt.Sprint("bn", i+1)), out)})
	}
	return head, nil
}

// contrastWidth is the length of the embedding that InfoPro contrasts.
const contrastWidth = 128

func newContrastHead(o HeadOptions, in nn.Shape, _ int, init nn.Init) (nn.Layer, error) {
	return newInfoProHead(o, in, contrastWidth, init)
}
