package zoo

import (
	"fmt"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// vggStages lists the convolutions of each stage by depth (Simonyan and Zisserman 2015, Table 1); three linear layers
// make up the rest.
var vggStages = map[int][5]int{
	11: {1, 1, 2, 2, 2}, 13: {2, 2, 2, 2, 2}, 16: {2, 2, 3, 3, 3}, 19: {2, 2, 4, 4, 4},
}

// newVGG builds torchvision's VGG with 11, 13, 16 or 19 weight layers. Every convolution is a block, with what follows
// it: normalisation unless norm is none, ReLU, and the max pool that ends a stage.
func newVGG(norm string) func(Options, nn.Shape, int, nn.Init) (*Network, error) {
	return func(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
		stages, ok := vggStages[o.Depth]
		if !ok {
			return nil, fault.New("model.depth is %d: %s needs 11, 13, 16 or 19 layers", o.Depth, o.Name)
		}
		batch := o.Norm == "batch" || o.Norm != "none" && norm == "batch"
		drop := 0.5
		if o.Dropout >= 0 {
			drop = o.Dropout
		}
		net, err := vggBody(o, stages, in, classes, init, vggConv{batch, true})
		if err != nil {
			return nil, err
		}
		hidden, at := 64*o.Width, net.Blocks[len(net.Blocks)-1].Out
		i := init.In("classifier")
		net.Classifier = nn.Sequential{
			nn.AvgPool{Side: 7}, nn.Flatten{},
			nn.NewLinear(i.In("0"), 49*at.C, hidden, nn.Normal(0.01)), nn.ReLU{}, nn.Dropout{Rate: drop},
			nn.NewLinear(i.In("3"), hidden, hidden, nn.Normal(0.01)), nn.ReLU{}, nn.Dropout{Rate: drop},
			nn.NewLinear(i.In("6"), hidden, classes, nn.Normal(0.01)),
		}
		return net, nil
	}
}

// newDeepVGG builds the VGG of d = 5n+2 weight layers for the depth study on CIFAR (Table 7), whose layout the paper does
// not give: d = 12, 17, 27, 37, 47 and 57 are n = 2, 3, 5, 7, 9 and 11 convolutions in each of VGG's five stages, of
// widths w, 2w, 4w, 8w, 8w at 32², 16², 8², 4², 2², and two linear layers, the hidden one of 8w units. Nothing leads
// around a layer. With model.norm=none there is no normalisation either, and convolutions have a bias.
func newDeepVGG(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
	n := (o.Depth - 2) / 5
	if n < 1 || o.Depth != 5*n+2 {
		return nil, fault.New("model.depth is %d: %s needs 5n+2 layers, such as 12, 17, 27, 37, 47 or 57", o.Depth, o.Name)
	}
	norm := o.Norm != "none"
	net, err := vggBody(o, [5]int{n, n, n, n, n}, in, classes, init, vggConv{norm, !norm})
	if err != nil {
		return nil, err
	}
	at, i := net.Blocks[len(net.Blocks)-1].Out, init.In("classifier")
	drop := max(o.Dropout, 0)
	net.Classifier = nn.Sequential{
		nn.AvgPool{Side: 1}, nn.Flatten{}, nn.NewLinear(i.In("0"), at.C, at.C), nn.ReLU{}, nn.Dropout{Rate: drop},
		nn.NewLinear(i.In("3"), at.C, classes),
	}
	return net, nil
}

// vggConv says what a convolution of a VGG comes with.
type vggConv struct{ norm, bias bool }

// vggBody returns a network without classifier. Layers are numbered as in torchvision's flat list, in which ReLU and
// pool count, too.
func vggBody(o Options, stages [5]int, in nn.Shape, classes int, init nn.Init, c vggConv) (*Network, error) {
	if in.H < 32 || in.W < 32 {
		return nil, fault.New("model.image is %d×%d: %s needs at least 32×32", in.H, in.W, o.Name)
	}
	net := &Network{Name: o.Name, Input: in, Classes: classes}
	net.Again = func(init nn.Init, i int, in nn.Shape, stride int) nn.Layer {
		layer := c.layer(init, 0, in.C, net.Blocks[i].Out.C)
		if stride == 2 {
			layer = append(layer, nn.MaxPool{K: 2, Stride: 2})
		}
		return layer
	}
	at, place := in, 0
	features := init.In("features")
	for stage, convs := range stages {
		width := o.Width << min(stage, 3)
		for k := range convs {
			name := fmt.Sprint(place)
			layer := c.layer(features, place, at.C, width)
			at.C = width
			place += 2
			if c.norm {
				place++
			}
			if k == convs-1 {
				layer = append(layer, nn.MaxPool{K: 2, Stride: 2})
				at.H, at.W = at.H/2, at.W/2
				place++
			}
			net.Blocks = append(net.Blocks, nn.Block{Name: "features." + name, Layer: layer, Out: at})
		}
	}
	return net, nil
}

// layer returns a 3×3 convolution at a place of the list, with normalisation or not, and its ReLU.
func (c vggConv) layer(i nn.Init, place, in, out int) nn.Sequential {
	name := fmt.Sprint(place)
	conv := nn.NewConv2d(i.In(name), in, out, 3, 1, nn.Bias(c.bias))
	if !c.norm {
		return nn.Sequential{conv, nn.ReLU{}}
	}
	return nn.Sequential{&nn.ConvNormReLU{Conv: conv, Norm: nn.NewBatchNorm2d(i.In(fmt.Sprint(place+1)), out)}}
}
