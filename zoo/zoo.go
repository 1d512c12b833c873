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
	Name     string  `recipe:"name" default:"resnet32" doc:"architecture; 'locus list models' shows them"`
	Classes  int     `recipe:"classes" default:"0" min:"0" doc:"number of classes; 0 = the data set's"`
	Width    int     `recipe:"width" default:"0" min:"0" doc:"channels of the first stage, of tokens, or units of a hidden layer; 0 = the architecture's"`
	Depth    int     `recipe:"depth" default:"0" min:"0" doc:"weight layers, or a transformer's blocks; 0 = the architecture's"`
	Image    int     `recipe:"image" default:"0" min:"0" doc:"side of the input in pixels, where no data set gives it; 0 = the data set's"`
	Patch    int     `recipe:"patch" default:"0" min:"0" doc:"side of a transformer's patches in pixels; 0 = the architecture's"`
	Norm     string  `recipe:"norm" default:"auto" oneof:"auto none batch" doc:"normalisation of a vgg; auto = the architecture's"`
	Dropout  float64 `recipe:"dropout" default:"-1" min:"-1" max:"0.99" doc:"of a vgg's classifier; -1 = the architecture's"`
	DropPath float64 `recipe:"drop_path" default:"0" min:"0" max:"0.99" doc:"stochastic depth of a transformer: of its last block, rising in equal steps from 0"`
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

const (
	imageNetDoc = "ImageNet residual network, as torchvision has it; images of at least 32×32 (He et al. 2016)"
	vitDoc      = "vision transformer with patches of 16 and a class token, as timm has it (Dosovitskiy et al. 2021)"
	swinDoc     = "hierarchical transformer with shifted windows of 7, as torchvision has it (Liu et al. 2021)"
	vggDoc      = "plain convolutions and three linear layers, as torchvision has it (Simonyan and Zisserman 2015)"
	vggNormDoc  = vggDoc + ", with batch normalisation"
	deepVGGDoc  = "CIFAR VGG: five stages of (d−2)/5 convolutions, two linear layers; model.norm batch or none"
)

var models = []Model{
	{"resnet32", "CIFAR residual network, 6n+2 layers, widths w, 2w, 4w (He et al. 2016)", 16, 32, newResNet},
	{"plainnet32", "resnet32 without its identity connections (the paper's Table 3)", 16, 32, newPlainNet},
	{"resnet18", imageNetDoc, 64, 18, newImageNetResNet},
	{"resnet34", imageNetDoc, 64, 34, newImageNetResNet},
	{"resnet50", imageNetDoc, 64, 50, newImageNetResNet},
	{"resnet101", imageNetDoc, 64, 101, newImageNetResNet},
	{"resnet152", imageNetDoc, 64, 152, newImageNetResNet},
	{"vgg11", vggDoc, 64, 11, newVGG("none")},
	{"vgg13", vggDoc, 64, 13, newVGG("none")},
	{"vgg16", vggDoc, 64, 16, newVGG("none")},
	{"vgg19", vggDoc, 64, 19, newVGG("none")},
	{"vgg11_bn", vggNormDoc, 64, 11, newVGG("batch")},
	{"vgg13_bn", vggNormDoc, 64, 13, newVGG("batch")},
	{"vgg16_bn", vggNormDoc, 64, 16, newVGG("batch")},
	{"vgg19_bn", vggNormDoc, 64, 19, newVGG("batch")},
	{"vgg12", deepVGGDoc, 64, 12, newDeepVGG},
	{"vgg17", deepVGGDoc, 64, 17, newDeepVGG},
	{"vgg27", deepVGGDoc, 64, 27, newDeepVGG},
	{"vgg37", deepVGGDoc, 64, 37, newDeepVGG},
	{"vgg47", deepVGGDoc, 64, 47, newDeepVGG},
	{"vgg57", deepVGGDoc, 64, 57, newDeepVGG},
	{"vit_ti", vitDoc, 192, 12, newViT(3)},
	{"vit_s", vitDoc, 384, 12, newViT(6)},
	{"vit_b", vitDoc, 768, 12, newViT(12)},
	{"swin_t", swinDoc, 96, 12, newSwin(3)},
	{"swin_s", swinDoc, 96, 24, newSwin(3)},
	{"swin_b", swinDoc, 128, 24, newSwin(4)},
	{"plain7", "3×3 convolutions with ReLU and nothing else, every one a block, in three stages of widths w, 2w, 4w (the paper's Table 4)", 32, 7, newPlainConvs},
	{"conv32", "5×5 convolution, tanh, max pool, linear to w, tanh, linear: DRTP's for CIFAR (Frenkel et al. 2021)", 1000, 3, newDRTPNet},
	{"conv32_relu", "5×5 convolution, ReLU, max pool, linear, no bias: PEPITA's for CIFAR (Dellaferrera and Kreiman 2022)", 32, 2, newPEPITANet},
	{"mlp", "hidden layers of width w, each Linear and ReLU", 256, 3, newMLP},
}

// Side is that of the images that the network was published for, in pixels.
func (m Model) Side() int {
	switch m.Doc {
	case imageNetDoc, vitDoc, swinDoc, vggDoc, vggNormDoc:
		return 224
	}
	return 32
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
	if err := o.fits(); err != nil {
		return nil, err
	}
	return m.build(o, in, classes, init)
}

// fits refuses what would be ignored.
func (o Options) fits() error {
	family := func(prefix ...string) bool {
		return slices.ContainsFunc(prefix, func(p string) bool { return strings.HasPrefix(o.Name, p) })
	}
	switch {
	case o.Patch != 0 && !family("vit", "swin"):
		return fault.New("model.patch is %d: must be 0 for %s, which has no patches", o.Patch, o.Name)
	case o.DropPath != 0 && !family("vit", "swin"):
		return fault.New("model.drop_path is %g: must be 0 for %s; vit and swin have stochastic depth", o.DropPath, o.Name)
	case o.Dropout > 0 && !family("vgg"):
		return fault.New("model.dropout is %g: must be 0 or -1 for %s; vgg has dropout", o.Dropout, o.Name)
	case o.Norm != "" && o.Norm != "auto" && !family("vgg"):
		return fault.New("model.norm is %s: must be auto for %s; a vgg can be had with and without", o.Norm, o.Name)
	}
	return nil
}

func sideAfter(side, stride int) int { return (side + stride - 1) / stride }

func blockName(stage, index int) string { return fmt.Sprintf("layer%d.%d", stage, index) }
