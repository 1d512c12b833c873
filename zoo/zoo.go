// Package zoo has the networks of the paper as ordered lists of blocks, which can be cut between any two.
package zoo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// Options is the `model` section of a recipe. Zero means the architecture's own value, or the data's.
type Options struct {
	Name    string `recipe:"name" default:"resnet32" doc:"architecture; 'locus list models' shows them"`
	Classes int    `recipe:"classes" default:"0" min:"0" doc:"number of classes; 0 = the data set's"`
	Width   int    `recipe:"width" default:"0" min:"0" doc:"channels of the first stage, or units of a hidden layer; 0 = the architecture's"`
	Depth   int    `recipe:"depth" default:"0" min:"0" doc:"weight layers; 0 = the architecture's"`
	Image   int    `recipe:"image" default:"0" min:"0" doc:"side of the input in pixels, where no data set gives it; 0 = the data set's"`
}

// Network is an uncut network: blocks, and the classifier behind the last.
type Network struct {
	Name       string
	Input      nn.Shape // of one image
	Classes    int
	Blocks     []nn.Block
	Classifier nn.Layer         // features of the last block → logits [N, classes]
	Cuts       map[int][]string // published cuts: for K modules, the blocks that end modules 1 … K−1

	// again builds a fresh block like block i, of its width but of another stride, on features of shape in; nil where
	// blocks cannot be repeated. The stride is 1 for vectors.
	again func(init nn.Init, i int, in nn.Shape, stride int) nn.Layer
}

// Cut is a place where a network is divided: behind module Module of Modules, which ends with block End−1.
type Cut struct {
	Net             *Network
	Module, Modules int // k, from 1, and K
	End             int
}

// Block is the last one in front of the cut.
func (c Cut) Block() nn.Block { return c.Net.Blocks[c.End-1] }

// Out is the shape of the features at the cut.
func (c Cut) Out() nn.Shape { return c.Block().Out }

// Params lists the parameters and buffers of the uncut network in PyTorch's order.
func (n *Network) Params() []*nn.Param {
	var all []*nn.Param
	for _, b := range n.Blocks {
		all = append(all, b.Layer.Params()...)
	}
	return append(all, n.Classifier.Params()...)
}

// Model is an entry of the zoo.
type Model struct {
	Name, Doc    string
	Width, Depth int // defaults
	build        func(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error)
}

const imageNetDoc = "ImageNet residual network, as torchvision has it; images of at least 32×32 (He et al. 2016)"

var models = []Model{
	{"resnet32", "CIFAR residual network, 6n+2 layers, widths w, 2w, 4w (He et al. 2016)", 16, 32, newResNet},
	{"plainnet32", "resnet32 without its identity connections (the paper's Table 3)", 16, 32, newPlainNet},
	{"resnet18", imageNetDoc, 64, 18, newImageNetResNet},
	{"resnet34", imageNetDoc, 64, 34, newImageNetResNet},
	{"resnet50", imageNetDoc, 64, 50, newImageNetResNet},
	{"resnet101", imageNetDoc, 64, 101, newImageNetResNet},
	{"resnet152", imageNetDoc, 64, 152, newImageNetResNet},
	{"mlp", "hidden layers of width w, each Linear and ReLU", 256, 3, newMLP},
}

// Models lists the zoo.
func Models() []Model { return slices.Clone(models) }

// New builds a network for images of shape in. o.Classes and o.Image, where set, take the place of the data's.
func New(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
	i := slices.IndexFunc(models, func(m Model) bool { return m.Name == o.Name })
	if i < 0 {
		var names []string
		for _, m := range models {
			names = append(names, m.Name)
		}
		return nil, fault.New("model.name is %q: must be one of %s", o.Name, strings.Join(names, ", "))
	}
	m := models[i]
	if o.Width == 0 {
		o.Width = m.Width
	}
	if o.Depth == 0 {
		o.Depth = m.Depth
	}
	if o.Image > 0 {
		in.H, in.W = o.Image, o.Image
	}
	if o.Classes > 0 {
		if o.Classes < classes {
			return nil, fault.New("model.classes is %d: must be at least the data set's %d", o.Classes, classes)
		}
		classes = o.Classes
	}
	return m.build(o, in, classes, init)
}

func sideAfter(side, stride int) int { return (side + stride - 1) / stride }

func blockName(stage, index int) string { return fmt.Sprintf("layer%d.%d", stage, index) }
