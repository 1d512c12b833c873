package model_test

import (
	"fmt"

	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
)

// A spec names a network, a method and a head. New builds the network and cuts it where the method says.
func Example() {
	spec := model.Defaults()
	spec.Net.Name, spec.Net.Depth, spec.Net.Width = "resnet32", 8, 4
	spec.Method.Name, spec.Method.Cuts = "sgr", []string{"stem", "layer2.0"}
	spec.Head.Name = "linear"
	spec.Input = model.Input{Shape: nn.Shape{C: 3, H: 32, W: 32}, Classes: 10}
	m, err := model.New(spec)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Free()
	for _, module := range m.Modules() {
		fmt.Println(module.Index, module.Blocks)
	}
	fmt.Println("cut behind", m.Cuts())
	// Output:
	// 1 [stem]
	// 2 [layer1.0 layer2.0]
	// 3 [layer3.0]
	// cut behind [stem layer2.0]
}
