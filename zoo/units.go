package zoo

import (
	"fmt"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// linearUnit is a linear layer with its nonlinearity.
func linearUnit(init nn.Init, in, out int, act nn.Activation) *nn.Unit {
	return &nn.Unit{Weigh: nn.NewLinear(init, in, out), Act: act, Shape: nn.Shape{C: out}}
}

// newPlainConvs builds the net of Table 4, of which the paper says only that each of its blocks is a linear layer with
// its nonlinearity. Ours has depth − 1 = 3n convolutions, 3×3 with bias and ReLU, n a stage, the stages of widths w, 2w
// and 4w at full, half and quarter resolution, then global average pooling and a linear classifier. There is no
// normalisation: behind it a block would no longer be y = σ(Wx), which the closed forms are made for (Appendix D).
func newPlainConvs(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
	if o.Depth < 4 || (o.Depth-1)%3 != 0 {
		return nil, fault.New("model.depth is %d: %s needs 3n+1 layers, such as 4, 7, 10 or 13", o.Depth, o.Name)
	}
	if in.H < 4 || in.W < 4 {
		return nil, fault.New("model.image is %d×%d: %s needs at least 4×4", in.H, in.W, o.Name)
	}
	net := &Network{Name: o.Name, Input: in, Classes: classes}
	at, n := in, (o.Depth-1)/3
	for k := range 3 * n {
		stage, stride := k/n, 1
		if stage > 0 && k%n == 0 {
			stride = 2
		}
		name := fmt.Sprintf("conv%d", k+1)
		width := o.Width << stage
		conv := nn.NewConv2d(init.In(name), at.C, width, 3, stride, nn.Bias(true))
		at = nn.Shape{C: width, H: sideAfter(at.H, stride), W: sideAfter(at.W, stride)}
		net.Blocks = append(net.Blocks, nn.Block{Name: name, Layer: &nn.Unit{Weigh: conv, Act: nn.ReLU{}, Shape: at}, Out: at})
	}
	net.Classifier = nn.Sequential{nn.AvgPool{Side: 1}, nn.Flatten{}, nn.NewLinear(init.In("fc"), at.C, classes)}
	return net, nil
}

// newDRTPNet builds direct random target projection's net for CIFAR-10, CONV_32_5_1_2 – FC_1000 – FC_10 in its authors'
// notation: 32 channels of 5×5, padded by 2, tanh, a 2×2 max pool, a hidden layer of w units, tanh. PyTorch's default
// initialisation.
func newDRTPNet(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
	conv, err := pooledConv(o, 3, in, nn.NewConv2d(init.In("conv1"), in.C, 32, 5, 1, nn.Bias(true), nn.Uniform()), nn.Tanh{})
	if err != nil {
		return nil, err
	}
	out := conv.Out
	hidden := linearUnit(init.In("fc1"), out.C*out.H*out.W, o.Width, nn.Tanh{})
	hidden.Flat = true
	return &Network{
		Name: o.Name, Input: in, Classes: classes,
		Blocks:     []nn.Block{conv, {Name: "fc1", Layer: hidden, Out: hidden.Shape}},
		Classifier: nn.NewLinear(init.In("fc"), o.Width, classes),
	}, nil
}

// newPEPITANet builds PEPITA's convolutional net for CIFAR: w channels of 5×5, unpadded, ReLU, a 2×2 max pool, and a
// linear classifier, both without bias, uniform in ±1/√fan-in. Its published code has no dropout in this net.
func newPEPITANet(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
	conv, err := pooledConv(o, 2, in, nn.NewConv2d(init.In("conv1"), in.C, o.Width, 5, 1, nn.Padding(0), nn.Uniform()), nn.ReLU{})
	if err != nil {
		return nil, err
	}
	out := conv.Out
	return &Network{
		Name: o.Name, Input: in, Classes: classes, Blocks: []nn.Block{conv},
		Classifier: nn.Sequential{nn.Flatten{}, nn.NewLinear(init.In("fc"), out.C*out.H*out.W, classes, nn.Bias(false))},
	}, nil
}

// pooledConv is the first block of a net of that depth: a convolution of stride 1, its nonlinearity, a 2×2 max pool.
func pooledConv(o Options, depth int, in nn.Shape, conv *nn.Conv2d, act nn.Activation) (nn.Block, error) {
	shape := conv.Weight.Value.Shape()
	k := int(shape[2])
	y := nn.Shape{C: int(shape[0]), H: in.H + 2*conv.Padding - k + 1, W: in.W + 2*conv.Padding - k + 1}
	var err error
	switch {
	case o.Depth != depth:
		err = fault.New("model.depth is %d: must be %d for %s, whose layers are fixed", o.Depth, depth, o.Name)
	case y.H < 2 || y.W < 2:
		err = fault.New("model.image is %d×%d: %s needs at least 6×6", in.H, in.W, o.Name)
	}
	if err != nil {
		nn.Free(nn.Params(conv))
		return nn.Block{}, err
	}
	unit := &nn.Unit{Weigh: conv, Act: act, Shape: y, Pool: &nn.MaxPool{K: 2, Stride: 2}}
	return nn.Block{Name: "conv1", Layer: unit, Out: nn.Shape{C: y.C, H: y.H / 2, W: y.W / 2}}, nil
}
