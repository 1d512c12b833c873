package zoo

import (
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// newDecoder builds InfoPro's decoder, features → logits of the image [N, C, H, W] (Wang et al. 2021). Small images come
// from the features at full resolution in two convolutions; those of 112 pixels and more in four, at a quarter, half and
// full resolution in turn, as for ImageNet. Tokens are folded to their grid first, which is our rule.
func newDecoder(at Cut, init nn.Init) (nn.Layer, error) {
	out, image := at.Out(), at.Net.Input
	if out.H == 0 {
		return nil, fault.New("a decoder needs feature maps to rebuild images from, block %s puts out a vector", at.Block().Name)
	}
	var features nn.Sequential
	if out.Tokens > 0 {
		features = nn.Sequential{nn.Fold{In: out}}
	}
	if min(image.H, image.W) < 112 {
		return append(features,
			nn.Upsample{H: image.H, W: image.W},
			nn.NewConvNormReLU(init, "conv1", "bn1", out.C, 12, 3, 1),
			nn.NewConv2d(init.In("conv2"), 12, image.C, 3, 1, nn.Bias(true)),
		), nil
	}
	return append(features,
		nn.NewConvNormReLU(init, "conv1", "bn1", out.C, 128, 1, 1),
		nn.Upsample{H: sideAfter(image.H, 4), W: sideAfter(image.W, 4)},
		nn.NewConvNormReLU(init, "conv2", "bn2", 128, 32, 3, 1),
		nn.Upsample{H: sideAfter(image.H, 2), W: sideAfter(image.W, 2)},
		nn.NewConvNormReLU(init, "conv3", "bn3", 32, 12, 3, 1),
		nn.Upsample{H: image.H, W: image.W},
		nn.NewConv2d(init.In("conv4"), 12, image.C, 3, 1, nn.Bias(true)),
	), nil
}
