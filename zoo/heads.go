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
}

// Head is an entry in the list of local heads.
type Head struct {
	Name, Doc string
	build     func(o HeadOptions, in nn.Shape, classes int, init nn.Init) (nn.Layer, error)
}

var heads = []Head{
	{"linear", "global average pooling and a linear layer", newLinearHead},
	{"conv", "3×3 convolution to `width` channels, BN, ReLU, 2×2 average pool, BN, linear (Belilovsky et al. 2019, k=2)", newConvHead},
}

// Heads lists the local heads.
func Heads() []Head { return slices.Clone(heads) }

// NewHead builds the local head of module k (from 1) on features of shape in. Its parameters are named heads.<k>.….
func NewHead(o HeadOptions, k int, in nn.Shape, classes int, init nn.Init) (nn.Layer, error) {
	i := slices.IndexFunc(heads, func(h Head) bool { return h.Name == o.Name })
	if i < 0 {
		var names []string
		for _, h := range heads {
			names = append(names, h.Name)
		}
		return nil, fault.New("head.name is %q: must be one of %s", o.Name, strings.Join(names, ", "))
	}
	return heads[i].build(o, in, classes, init.In(fmt.Sprintf("heads.%d", k)))
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
