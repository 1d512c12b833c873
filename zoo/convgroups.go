package zoo

import (
	"math"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// newConvGroups builds the net of airbench94 (Jordan 2024), made to learn CIFAR-10 in few epochs: a fixed 2×2 convolution
// that whitens patches, with a trained bias and GELU; three groups of two 3×3 convolutions, each with batch normalisation
// and GELU, the first of them with a 2×2 max pool in front of its normalisation; widths w, 4w and 4w; the maximum over what
// is left of the image, and a linear classifier without bias, whose input is divided by 9. Convolutions begin by handing
// on what they get; the weights of normalisations stay 1, and their running statistics are mostly of the last few batches.
//
// Ours differs from the published one in this: the whitening is by formula, so that a network needs no data to be built;
// normalisations have PyTorch's ε.
func newConvGroups(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
	const least = 9 // whose side is 1 behind the last pool
	if in.H < least || in.W < least {
		return nil, fault.New("model.image is %d×%d: %s needs at least %d×%d", in.H, in.W, o.Name, least, least)
	}
	if o.Depth != 8 {
		return nil, fault.New("model.depth is %d: must be 8 for %s, whose layers are given", o.Depth, o.Name)
	}
	net := &Network{Name: o.Name, Input: in, Classes: classes}
	at := nn.Shape{C: 8 * in.C, H: in.H - 1, W: in.W - 1}
	net.Blocks = append(net.Blocks, nn.Block{Name: "whiten", Layer: nn.Sequential{newWhitening(init.In("whiten"), in.C), nn.GELU{}}, Out: at})
	for group, width := range []int{o.Width, 4 * o.Width, 4 * o.Width} {
		for k := range 2 {
			name := blockName(group+1, k)
			layer, out := groupConv(init.In(name), at, width, k == 0)
			net.Blocks = append(net.Blocks, nn.Block{Name: name, Layer: layer, Out: out})
			at = out
		}
	}
	net.Scale = 1.0 / 9
	net.Classifier = nn.Sequential{
		nn.MaxPool{K: min(at.H, at.W), Stride: min(at.H, at.W)}, nn.AvgPool{Side: 1}, nn.Flatten{}, nn.Scale{Factor: net.Scale},
		nn.NewLinear(init.In("fc"), at.C, classes, nn.Bias(false)),
	}
	net.Again = func(init nn.Init, i int, in nn.Shape, stride int) nn.Layer {
		layer, _ := groupConv(init, in, net.Blocks[i].Out.C, stride > 1)
		return layer
	}
	net.Cuts = map[int][]string{
		2: {blockName(2, 1)},
		3: {blockName(1, 1), blockName(2, 1)},
		7: {"whiten", blockName(1, 0), blockName(1, 1), blockName(2, 0), blockName(2, 1), blockName(3, 0)},
	}
	return net, nil
}

// groupConv is one of a group's convolutions, on features of shape in, and the shape of what it puts out.
func groupConv(init nn.Init, in nn.Shape, width int, pooled bool) (nn.Layer, nn.Shape) {
	out := nn.Shape{C: width, H: in.H, W: in.W}
	layers := nn.Sequential{nn.NewConv2d(init.In("conv"), in.C, width, 3, 1, nn.Dirac())}
	if pooled {
		layers = append(layers, nn.MaxPool{K: 2, Stride: 2})
		out.H, out.W = in.H/2, in.W/2
	}
	norm := nn.NewBatchNorm2d(init.In("norm"), width)
	norm.Momentum = 0.4
	nn.Hold([]*nn.Param{norm.Weight})
	return append(layers, norm, nn.GELU{}), out
}

// patchSD are the standard deviations of 2×2 patches of CIFAR-10's normalised images along the directions of newWhitening,
// measured on 6,000 training images: of brightness, of blue against red, and of green against both, each by its mean and
// its differences from row to row, from column to column, and across. Sorted, they are within 5 % of the square roots of the
// eigenvalues of the patches' covariance, so these directions are nearly its own.
var patchSD = [3][4]float64{
	{3.175, 0.630, 0.574, 0.234},
	{0.904, 0.130, 0.120, 0.040},
	{0.442, 0.072, 0.068, 0.025},
}

// newWhitening returns the fixed 2×2 convolution from c to 8c channels, without padding. In each direction of a patch that
// natural images vary in by themselves, what it puts out varies by about 1; each direction is there with both signs. As in
// airbench, 5·10⁻⁴ is added to variances, which keeps the noise of the weakest directions small.
func newWhitening(init nn.Init, c int) *nn.Conv2d {
	out := 8 * c
	weight := init.Given("weight", func() []float64 { return whitening(c) }, int64(out), int64(c), 2, 2)
	return &nn.Conv2d{Weight: weight, Bias: init.Bias(out), Stride: 1}
}

// whitening is the weight of newWhitening, [8c, c, 2, 2]. Channels other than three colours are taken one by one, with the
// deviations of brightness.
func whitening(c int) []float64 {
	patches := [4][4]float64{{1, 1, 1, 1}, {1, 1, -1, -1}, {1, -1, 1, -1}, {1, -1, -1, 1}} // each of norm 2
	colours := [][]float64{{1, 1, 1}, {1, 0, -1}, {1, -2, 1}}
	if c != 3 {
		colours = nil
		for i := range c {
			unit := make([]float64, c)
			unit[i] = 1
			colours = append(colours, unit)
		}
	}
	var weight []float64
	for _, sign := range []float64{1, -1} {
		for k, colour := range colours {
			var norm float64
			for _, v := range colour {
				norm += v * v
			}
			for j, patch := range patches {
				sd := patchSD[0][j]
				if c == 3 {
					sd = patchSD[k][j]
				}
				scale := sign / (2 * math.Sqrt(norm) * math.Sqrt(sd*sd+5e-4))
				for _, v := range colour {
					for _, p := range patch {
						weight = append(weight, scale*v*p)
					}
				}
			}
		}
	}
	return weight
}
