package nn_test

import (
	"fmt"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// A layer consumes its input and returns a tensor that the caller owns. Parameters have PyTorch's names.
func Example() {
	init := nn.Init{Seed: 1, Device: torch.CPU}
	layer := nn.Sequential{nn.NewConvNormReLU(init, "conv1", "bn1", 3, 8, 3, 2), nn.AvgPool{Side: 1}, nn.Flatten{}, nn.NewLinear(init.In("fc"), 8, 10)}
	defer nn.Free(nn.Params(layer))
	for _, p := range nn.Params(layer) {
		if p.Trainable {
			fmt.Println(p.Name, p.Value.Shape())
		}
	}
	s := torch.NewScopeOn(torch.CPU, torch.NoGrad)
	defer s.Close()
	images := s.ChannelsLast(s.Full(torch.Float32, 0.5, 4, 3, 16, 16))
	answers := layer.Forward(nn.Evaluate(s, torch.Float32), images)
	fmt.Println("answers", answers.Shape())
	// Output:
	// conv1.weight [8 3 3 3]
	// bn1.weight [8]
	// bn1.bias [8]
	// fc.weight [10 8]
	// fc.bias [10]
	// answers [4 10]
}
