package main

import (
	"fmt"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/zoo"
)

// newSmall builds depth blocks of a 3×3 convolution, BatchNorm and ReLU, each of stride 2, and a linear classifier.
// Options that a recipe leaves out have the defaults below by then.
func newSmall(o zoo.Options, in nn.Shape, classes int, init nn.Init) (*zoo.Network, error) {
	net := &zoo.Network{Name: o.Name, Input: in, Classes: classes}
	shape := in
	for k := 1; k <= o.Depth; k++ {
		name := fmt.Sprintf("block%d", k)
		layer := nn.NewConvNormReLU(init.In(name), "conv", "bn", shape.C, o.Width, 3, 2)
		shape = nn.Shape{C: o.Width, H: (shape.H + 1) / 2, W: (shape.W + 1) / 2}
		net.Blocks = append(net.Blocks, nn.Block{Name: name, Layer: layer, Out: shape})
	}
	net.Classifier = nn.Sequential{nn.AvgPool{Side: 1}, nn.Flatten{}, nn.NewLinear(init.In("fc"), shape.C, classes)}
	return net, nil
}

func init() {
	zoo.Register(zoo.Model{Name: "small", Doc: "convolutions of stride 2", Width: 8, Depth: 3, Build: newSmall})
}
