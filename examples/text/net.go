package main

import (
	"fmt"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

const (
	width  = 64 // of a token
	heads  = 4  // of attention
	blocks = 4  // of the encoder
)

// embedding is a layer of our own: it turns tokens' numbers [N, T] into rows of the weight, and adds their places: [N, T, width].
type embedding struct{ Weight, Place *nn.Param } // [tokens, width] and [1, T, width]

// Forward implements nn.Layer. It consumes x.
func (l embedding) Forward(p *nn.Pass, x torch.Tensor) torch.Tensor {
	n, t := x.Shape()[0], x.Shape()[1]
	rows := p.Reshape(p.Rows(l.Weight.Value, p.Reshape(x, n*t)), n, t, width)
	return p.Cast(p.Add(rows, l.Place.Value, 1), p.Compute)
}

// newNetwork is an embedding, blocks of a transformer's encoder, and a classifier of the tokens' mean. A line is a row of places.
func newNetwork(classes int, init nn.Init) *zoo.Network {
	at := nn.Shape{C: width, H: 1, W: places, Tokens: places}
	net := &zoo.Network{
		Name: "text", Input: nn.Shape{C: places}, Classes: classes,
		Blocks: []nn.Block{{Name: "embed", Out: at, Layer: embedding{
			init.Embedding("embed.weight", 0.02, tokens, width), init.Embedding("embed.place", 0.02, 1, places, width),
		}}},
		Classifier: answers(init.In("head"), classes),
	}
	for k := range blocks {
		name := fmt.Sprintf("block%d", k)
		i := init.In(name)
		net.Blocks = append(net.Blocks, nn.Block{Name: name, Out: at, Layer: &nn.Encoder{
			Norm1: nn.NewLayerNorm(i.In("norm1"), width, 1e-6), Mixer: nn.NewAttention(i.In("attn"), width, heads),
			Norm2: nn.NewLayerNorm(i.In("norm2"), width, 1e-6), MLP: nn.NewMLP(i.In("mlp"), "fc1", "fc2", width, 4*width),
		}})
	}
	return net
}

// answers turns tokens [N, T, width] into answers [N, classes].
func answers(init nn.Init, classes int) nn.Layer {
	return nn.Sequential{nn.NewLayerNorm(init.In("norm"), width, 1e-6), nn.TokenMean{}, nn.NewLinear(init.In("fc"), width, classes)}
}

// build cuts the network into modules of as many blocks each, the embedding in the first one.
func build(classes, modules int, term local.Term) (*model.Model, error) {
	init := nn.Init{Seed: 1, Device: torch.CPU}
	var ends []int
	for k := 1; k <= modules; k++ {
		ends = append(ends, 1+k*blocks/modules)
	}
	return model.Of(model.Parts{
		Net: newNetwork(classes, init), Ends: ends, Init: init, DType: torch.Float32,
		Rule: local.Rule{Objective: local.Classify{}, Term: term, Credit: local.Autograd{}},
		Head: func(at zoo.Cut, init nn.Init) (nn.Layer, error) {
			return answers(init.In(fmt.Sprintf("heads.%d", at.Module)), at.Net.Classes), nil
		},
		Optim: func(params []*nn.Param) optim.Optimizer {
			return optim.New(optim.Options{Name: "adamw", WeightDecay: 0.01}, params)
		},
	})
}
