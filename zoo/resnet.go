package zoo

import (
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// newResNet builds the CIFAR residual network of 6n+2 weight layers: a 3×3 stem, three stages of n basic blocks with
// widths w, 2w, 4w at full, half and quarter resolution, global average pooling and a linear classifier.
// Where the width changes, the shortcut is a 1×1 convolution with normalisation.
func newResNet(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
	return newStages(o, in, classes, init, func(i nn.Init, in, out, stride int) nn.Layer {
		return newBasicBlock(i, in, out, stride)
	})
}

// newPlainNet builds the same stack without shortcuts.
func newPlainNet(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
	return newStages(o, in, classes, init, func(i nn.Init, in, out, stride int) nn.Layer {
		return nn.Sequential{
			nn.NewConvNormReLU(i, "conv1", "bn1", in, out, 3, stride),
			nn.NewConvNormReLU(i, "conv2", "bn2", out, out, 3, 1),
		}
	})
}

func newStages(o Options, in nn.Shape, classes int, init nn.Init,
	block func(i nn.Init, in, out, stride int) nn.Layer) (*Network, error) {
	if o.Depth < 8 || (o.Depth-2)%6 != 0 {
		return nil, fault.New("model.depth is %d: %s needs 6n+2 layers, such as 8, 20, 32, 56 or 110", o.Depth, o.Name)
	}
	if in.H < 4 || in.W < 4 {
		return nil, fault.New("model.image is %d×%d: %s needs at least 4×4", in.H, in.W, o.Name)
	}
	n := (o.Depth - 2) / 6
	net := &Network{Name: o.Name, Input: in, Classes: classes}
	at := nn.Shape{C: o.Width, H: in.H, W: in.W}
	add := func(name string, l nn.Layer) {
		net.Blocks = append(net.Blocks, nn.Block{Name: name, Layer: l, Out: at})
	}
	add("stem", nn.NewConvNormReLU(init, "conv1", "bn1", in.C, o.Width, 3, 1))
	for stage := 1; stage <= 3; stage++ {
		width := o.Width << (stage - 1)
		for k := range n {
			stride := 1
			if stage > 1 && k == 0 {
				stride = 2
			}
			name := blockName(stage, k)
			l := block(init.In(name), at.C, width, stride)
			at = nn.Shape{C: width, H: sideAfter(at.H, stride), W: sideAfter(at.W, stride)}
			add(name, l)
		}
	}
	net.Classifier = nn.Sequential{nn.AvgPool{Side: 1}, nn.Flatten{}, nn.NewLinear(init.In("fc"), at.C, classes)}
	net.Again = func(init nn.Init, i int, in nn.Shape, stride int) nn.Layer {
		return block(init, in.C, net.Blocks[i].Out.C, stride)
	}
	net.Cuts = map[int][]string{
		2: {blockName(2, n-1)},                    // the last stage is module 2
		3: {blockName(1, n-1), blockName(2, n-1)}, // by resolution
	}
	return net, nil
}

// newBasicBlock builds y = ReLU(BN(conv(ReLU(BN(conv x)))) + shortcut x) (He et al. 2016).
func newBasicBlock(i nn.Init, in, out, stride int) *nn.Residual {
	return &nn.Residual{
		Body: nn.Sequential{
			nn.NewConvNormReLU(i, "conv1", "bn1", in, out, 3, stride),
			nn.NewConv2d(i.In("conv2"), out, out, 3, 1),
		},
		Norm:     nn.NewBatchNorm2d(i.In("bn2"), out),
		Shortcut: newDownsample(i.In("downsample"), in, out, stride),
	}
}

// newDownsample returns the shortcut: the identity, which is no layer at all, wherever the shapes allow it.
func newDownsample(i nn.Init, in, out, stride int) nn.Sequential {
	if stride == 1 && in == out {
		return nil
	}
	return nn.Sequential{nn.NewConv2d(i.In("0"), in, out, 1, stride), nn.NewBatchNorm2d(i.In("1"), out)}
}
