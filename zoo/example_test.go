package zoo_test

import (
	"fmt"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// A network is a list of blocks and a classifier. A cut behind any block gets a local head.
func Example() {
	init := nn.Init{Seed: 1, Device: torch.CPU}
	net, err := zoo.New(zoo.Options{Name: "resnet32", Depth: 8, Width: 4}, nn.Shape{C: 3, H: 32, W: 32}, 10, init)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer net.Free()
	for _, b := range net.Blocks {
		fmt.Println(b.Name, b.Out.C, "channels of", b.Out.H, "×", b.Out.W)
	}
	kind, err := zoo.LookupHead("linear", false)
	if err != nil {
		fmt.Println(err)
		return
	}
	head, err := kind.New(zoo.HeadOptions{}, zoo.Cut{Net: net, Module: 1, Modules: 2, End: 2}, init)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nn.Free(nn.Params(head))
	fmt.Println(nn.Params(head)[0].Name, nn.Params(head)[0].Value.Shape())
	// Output:
	// stem 4 channels of 32 × 32
	// layer1.0 4 channels of 32 × 32
	// layer2.0 8 channels of 16 × 16
	// layer3.0 16 channels of 8 × 8
	// heads.1.fc.weight [10 4]
}
