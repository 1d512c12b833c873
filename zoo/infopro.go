package zoo

import (
	"fmt"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// newInfoProHead chooses between InfoPro's two published heads: that for CIFAR on maps of at most 64 channels and
// 32×32 cells, which the networks for CIFAR have behind every block, and that for ImageNet on all others.
func newInfoProHead(_ HeadOptions, in nn.Shape, classes int, init nn.Init) (nn.Layer, error) {
	switch {
	case in.H == 0:
		return nil, fault.New("head.name is infopro: needs feature maps, the module's output is a vector; use head.name=linear")
	case in.C <= 64 && in.H <= 32 && in.W <= 32:
		return newInfoProCIFAR(in, classes, init), nil
	default:
		return newInfoProImageNet(in, classes, init), nil
	}
}

// newInfoProCIFAR builds one 3×3 convolution with BN and ReLU, global average pooling and two linear layers ("1c2f"). It
// is published for 16 and 32 channels, which the convolution doubles at stride 2, and for 64, which it keeps at stride 1.
// Other widths go with the former up to 32 channels.
func newInfoProCIFAR(in nn.Shape, classes int, init nn.Init) nn.Layer {
	const hidden = 128
	out, stride := in.C, 1
	if in.C <= 32 {
		out, stride = 2*in.C, 2
	}
	return nn.Sequential{
		nn.NewConvNormReLU(init, "conv1", "bn1", in.C, out, 3, stride),
		nn.AvgPool{Side: 1}, nn.Flatten{},
		nn.NewLinear(init.In("fc1"), out, hidden), nn.ReLU{}, nn.NewLinear(init.In("fc2"), hidden, classes),
	}
}

// newInfoProImageNet builds convolutions 1×1 to a quarter of the channels, 3×3 to 256 and to 512, and 1×1 to 2048, each with
// BN and ReLU, then global average pooling and a linear layer. It is published for 512 and 1024 channels, with stride 2
// in both 3×3. For others our rule is: at least 64 channels behind the first convolution, and stride 2 until maps are
// 7×7 or smaller, with more 3×3 convolutions to 256 channels in front where two are not enough.
func newInfoProImageNet(in nn.Shape, classes int, init nn.Init) nn.Layer {
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
	return append(head, nn.AvgPool{Side: 1}, nn.Flatten{}, nn.NewLinear(init.In("fc"), channels, classes))
}
