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
	Name  string `recipe:"name" default:"conv" doc:"local head; 'locus list heads' shows them"`
	Width int    `recipe:"width" default:"128" min:"0" doc:"channels inside the conv head; 0 = as many as its features have, the light choice"`

	Depth    int `recipe:"depth" default:"5" min:"1" doc:"auglocal: blocks in the first module's head"`
	DepthMin int `recipe:"depth_min" default:"0" min:"0" doc:"auglocal: blocks in the head of the last module but one, linear in between; 0 = half of depth"`
}

// Head is an entry in the list of local heads.
type Head struct {
	Name, Doc string
	Embeds    bool // it puts out an embedding instead of logits: only methods that ask for it can train it
	build     func(o HeadOptions, at Cut, init nn.Init) (nn.Layer, error)
}

// onShape is the builder of a head that needs no more of the network than the features' shape and the classes.
func onShape(build func(o HeadOptions, in nn.Shape, classes int, init nn.Init) (nn.Layer, error)) func(HeadOptions, Cut, nn.Init) (nn.Layer, error) {
	return func(o HeadOptions, at Cut, init nn.Init) (nn.Layer, error) {
		return build(o, at.Out(), at.Net.Classes, init)
	}
}

var heads = []Head{
	{Name: "linear", Doc: "global average pooling and a linear layer", build: onShape(newLinearHead)},
	{Name: "conv", Doc: "3×3 convolution to `width` channels, BN, ReLU, 2×2 average pool, BN, linear (Belilovsky et al. 2019, k=2)", build: onShape(newConvHead)},
	{Name: "auglocal", Doc: "`depth` blocks like those behind the module, sampled evenly, fewer towards the output, pooling, linear (Ma et al. 2024)", build: newAugLocalHead},
	{Name: "contrast", Doc: "infopro's with an embedding of 128 in place of the classes; infopro-contrast has it", Embeds: true, build: onShape(newContrastHead)},
	{Name: "infopro", Doc: "for ImageNet: 1×1, two or more 3×3 and 1×1 convolutions to 2048 channels, pooling, linear (Wang et al. 2021)", build: onShape(newInfoProHead)},
}

// Heads lists the local heads.
func Heads() []Head { return slices.Clone(heads) }

// LookupHead finds a head that gives logits, or, for a method that prescribes it, any.
func LookupHead(name string, prescribed bool) (Head, error) {
	var names []string
	for _, h := range heads {
		fits := prescribed || !h.Embeds
		if fits && h.Name == name {
			return h, nil
		}
		if fits {
			names = append(names, h.Name)
		}
	}
	return Head{}, fault.New("head.name is %q: must be one of %s", name, strings.Join(names, ", "))
}

// New builds the local head of the module in front of a cut. Its parameters are named heads.<k>.….
func (h Head) New(o HeadOptions, at Cut, init nn.Init) (nn.Layer, error) {
	return h.build(o, at, init.In(fmt.Sprintf("heads.%d", at.Module)))
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

// newInfoProHead builds convolutions 1×1 to a quarter of the channels, 3×3 to 256 and to 512, and 1×1 to 2048, each with
// BN and ReLU, then global average pooling and a linear layer. It is published for 512 and 1024 channels, with stride 2
// in both 3×3. For others our rule is: at least 64 channels behind the first convolution, and stride 2 until maps are
// 7×7 or smaller, with more 3×3 convolutions to 256 channels in front where two are not enough.
func newInfoProHead(_ HeadOptions, in nn.Shape, classes int, init nn.Init) (nn.Layer, error) {
	if in.H == 0 {
		return nil, fault.New("head.name is infopro: needs feature maps, the module's output is a vector; use head.name=linear")
	}
	halvings := 2
	if in.C != 512 && in.C != 1024 {
		halvings = 0
		for side := max(in.H, in.W); side > 7; side = sideAfter(side, 2) {
			halvings++
		}
	}
	var head nn.Sequential
	channels := in.C
	add := func(out, k, stride int) {
		n := len(head) + 1
		head = append(head, nn.NewConvNormReLU(init, fmt.Sprint("conv", n), fmt.Sprint("bn", n), channels, out, k, stride))
		channels = out
	}
	add(max(64, in.C/4), 1, 1)
	for i, n := 1, max(2, halvings); i <= n; i++ {
		out, stride := 256, 1
		if i == n {
			out = 512
		}
		if i <= halvings {
			stride = 2
		}
		add(out, 3, stride)
	}
	add(2048, 1, 1)
	return append(head, nn.AvgPool{Side: 1}, nn.Flatten{}, nn.NewLinear(init.In("fc"), channels, classes)), nil
}

// contrastWidth is the length of the embedding that InfoPro contrasts.
const contrastWidth = 128

func newContrastHead(o HeadOptions, in nn.Shape, _ int, init nn.Init) (nn.Layer, error) {
	return newInfoProHead(o, in, contrastWidth, init)
}
