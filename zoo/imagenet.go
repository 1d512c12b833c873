package zoo

import (
	"slices"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// imageNetBlocks lists the residual networks for ImageNet (He et al. 2016, Table 1) by depth: blocks a stage.
var imageNetBlocks = map[int][4]int{
	18: {2, 2, 2, 2}, 34: {3, 4, 6, 3}, // of basic blocks
	50: {3, 4, 6, 3}, 101: {3, 4, 23, 3}, 152: {3, 8, 36, 3}, // of bottlenecks
}

// newImageNetResNet builds torchvision's residual network: a 7×7 stem and a max pool that quarter the resolution, four
// stages of widths w, 2w, 4w, 8w, each but the first halving it, global average pooling and a linear classifier.
func newImageNetResNet(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
	stages, ok := imageNetBlocks[o.Depth]
	if !ok {
		return nil, fault.New("model.depth is %d: %s needs 18, 34, 50, 101 or 152 layers", o.Depth, o.Name)
	}
	if in.H < 32 || in.W < 32 {
		return nil, fault.New("model.image is %d×%d: %s needs at least 32×32", in.H, in.W, o.Name)
	}
	net := &Network{Name: o.Name, Input: in, Classes: classes}
	half := func(s nn.Shape) nn.Shape { return nn.Shape{C: s.C, H: sideAfter(s.H, 2), W: sideAfter(s.W, 2)} }
	at := half(half(nn.Shape{C: o.Width, H: in.H, W: in.W}))
	net.Blocks = []nn.Block{{Name: "stem", Out: at, Layer: nn.Sequential{
		nn.NewConvNormReLU(init, "conv1", "bn1", in.C, o.Width, 7, 2),
		nn.MaxPool{K: 3, Stride: 2, Padding: 1},
	}}}
	var ends []string
	for i, blocks := range stages {
		stage, width := i+1, o.Width<<i
		for k := range blocks {
			stride := 1
			if stage > 1 && k == 0 {
				stride, at = 2, half(at)
			}
			name := blockName(stage, k)
			l, out := newImageNetBlock(init.In(name), at.C, width, stride, o.Depth)
			at.C = out
			net.Blocks = append(net.Blocks, nn.Block{Name: name, Layer: l, Out: at})
		}
		ends = append(ends, blockName(stage, blocks-1))
	}
	net.Classifier = nn.Sequential{nn.AvgPool{Side: 1}, nn.Flatten{}, nn.NewLinear(init.In("fc"), at.C, classes)}
	net.Cuts = stageCuts(ends)
	net.Again = func(init nn.Init, i int, in nn.Shape, stride int) nn.Layer {
		l, _ := newImageNetBlock(init, in.C, net.Blocks[i].Out.C/expansion(o.Depth), stride, o.Depth)
		return l
	}
	return net, nil
}

// stageCuts are the cuts for 2, 3 and 4 modules. The paper does not say where it cuts these networks. Ours fall between
// stages: two modules have two each; the third and fourth come from the front, where activations are largest.
func stageCuts(ends []string) map[int][]string {
	return map[int][]string{2: {ends[1]}, 3: slices.Clone(ends[:2]), 4: slices.Clone(ends[:3])}
}

// newImageNetBlock returns a block of the stage of that width, and its output's channels.
func newImageNetBlock(i nn.Init, in, width, stride, depth int) (nn.Layer, int) {
	out := width * expansion(depth)
	if depth < 50 {
		return newBasicBlock(i, in, width, stride), out
	}
	return newBottleneck(i, in, width, stride), out
}

// expansion is how many times as many channels a block puts out as its 3×3 convolution has.
func expansion(depth int) int {
	if depth < 50 {
		return 1
	}
	return 4
}

// newBottleneck builds a residual block of convolutions 1×1, 3×3 and 1×1, the last four times as wide. The stride is that of
// the 3×3, as in torchvision.
func newBottleneck(i nn.Init, in, width, stride int) *nn.Residual {
	return &nn.Residual{
		Body: nn.Sequential{
			nn.NewConvNormReLU(i, "conv1", "bn1", in, width, 1, 1),
			nn.NewConvNormReLU(i, "conv2", "bn2", width, width, 3, stride),
			nn.NewConv2d(i.In("conv3"), width, 4*width, 1, 1),
		},
		Norm:     nn.NewBatchNorm2d(i.In("bn3"), 4*width),
		Shortcut: newDownsample(i.In("downsample"), in, 4*width, stride),
	}
}
