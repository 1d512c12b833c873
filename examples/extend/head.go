package main

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/zoo"
)

// newDeepHead builds a mean over the map, a hidden layer with ReLU, and a linear layer. at says what stands in front.
func newDeepHead(o zoo.HeadOptions, at zoo.Cut, init nn.Init) (nn.Layer, error) {
	hidden := nn.Sequential{
		nn.NewLinear(init.In("hidden"), at.Out().C, o.Width), nn.ReLU{},
		nn.NewLinear(init.In("fc"), o.Width, at.Net.Classes),
	}
	if at.Out().H == 0 { // a vector has no map
		return hidden, nil
	}
	return append(nn.Sequential{nn.AvgPool{Side: 1}, nn.Flatten{}}, hidden...), nil
}

func init() {
	zoo.RegisterHead(zoo.Head{Name: "deep", Doc: "mean, a hidden layer of `width`, linear", Build: newDeepHead})
}
