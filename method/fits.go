package method

import (
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// fitsUnits refuses networks of which a block is more than one weight layer with its nonlinearity.
func fitsUnits(method string) func([]nn.Block, nn.Layer) error {
	return func(blocks []nn.Block, _ nn.Layer) error {
		for _, b := range blocks {
			if _, ok := b.Layer.(*nn.Unit); !ok {
				return fault.New("method.name is %s: needs blocks of one linear layer or convolution with its nonlinearity, block %s is more than that; fits plain7, mlp, conv32, conv32_relu", method, b.Name)
			}
		}
		return nil
	}
}

// fitsReadout refuses what fitsUnits does, and classifiers of more than one layer.
func fitsReadout(method string) func([]nn.Block, nn.Layer) error {
	units := fitsUnits(method)
	return func(blocks []nn.Block, classifier nn.Layer) error {
		if err := units(blocks, classifier); err != nil {
			return err
		}
		if _, ok := nn.AsReadout(classifier); !ok {
			return fault.New("method.name is %s: needs a classifier of one linear layer; fits plain7, mlp, conv32, conv32_relu", method)
		}
		return nil
	}
}

// needsMaps is what methods ask of blocks whose heads are convolutions.
func needsMaps(method string) func([]nn.Block, nn.Layer) error {
	return func(blocks []nn.Block, _ nn.Layer) error {
		for _, b := range blocks[:len(blocks)-1] { // the last block has the network's classifier
			if b.Out.H == 0 {
				return fault.New("method.name is %s: needs feature maps or tokens between blocks, %s puts out a vector; fits convolutional networks and transformers, such as resnet32",
					method, b.Name)
			}
		}
		return nil
	}
}
