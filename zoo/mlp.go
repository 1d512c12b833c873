package zoo

import (
	"fmt"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// newMLP builds depth hidden layers of Linear and ReLU, each a block, under the names fc1, fc2, … and fc.
func newMLP(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
	if o.Depth < 1 {
		return nil, fault.New("model.depth is %d: mlp needs at least 1 hidden layer", o.Depth)
	}
	net := &Network{Name: o.Name, Input: in, Classes: classes}
	units := in.C * max(in.H, 1) * max(in.W, 1) // a vector has no rows and columns
	for k := 1; k <= o.Depth; k++ {
		name := fmt.Sprintf("fc%d", k)
		unit := linearUnit(init.In(name), units, o.Width, nn.ReLU{})
		unit.Flat = k == 1
		net.Blocks = append(net.Blocks, nn.Block{Name: name, Layer: unit, Out: unit.Shape})
		units = o.Width
	}
	net.Classifier = nn.NewLinear(init.In("fc"), units, classes)
	net.Again = func(init nn.Init, _ int, in nn.Shape, _ int) nn.Layer {
		return linearUnit(init, in.C, o.Width, nn.ReLU{})
	}
	return net, nil
}
