// Package zoo has the networks of the paper as ordered lists of blocks, which can be cut between any two.
package zoo

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/host"
	"github.com/locus-learn/locus/internal/registry"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Options is the `model` section of a recipe. Zero means the architecture's own value, or the data's.
type Options struct {
	Name     string  `recipe:"name" default:"resnet32" oneof:"@" doc:"architecture; 'locus list models' shows them"`
	Classes  int     `recipe:"classes" default:"0" min:"0" max:"100000" doc:"number of classes; 0 = the data set's"`
	Width    int     `recipe:"width" default:"0" min:"0" max:"65536" doc:"channels of the first stage, of tokens, or units of a hidden layer; 0 = the architecture's"`
	Depth    int     `recipe:"depth" default:"0" min:"0" max:"4096" doc:"weight layers, or a transformer's blocks; 0 = the architecture's"`
	Image    int     `recipe:"image" default:"0" min:"0" max:"4096" doc:"side of the input in pixels, where no data set gives it; 0 = the data set's"`
	Patch    int     `recipe:"patch" default:"0" min:"0" max:"4096" doc:"side of a transformer's patches in pixels; 0 = the architecture's"`
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

	// Scale is what the classifier's linear layer multiplies its input by first; 0 stands for 1. Local heads do the same, so that
	// one learning rate suits all modules.
	Scale float64

	// Again builds a fresh block like block i, of its width but of another stride, on features of shape in; nil where
	// blocks cannot be repeated. The stride is 1 for vectors.
	Again func(init nn.Init, i int, in nn.Shape, stride int) nn.Layer
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
	var layers []nn.Layer
	for _, b := range n.Blocks {
		layers = append(layers, b.Layer)
	}
	return nn.Params(append(layers, n.Classifier)...)
}

// Check returns an error that names what the network lacks, or what should be there once. Blocks are cut, and parameters are saved,
// by their names.
func (n *Network) Check() error {
	if len(n.Blocks) == 0 || n.Classifier == nil {
		return fmt.Errorf("zoo: network %s has %d blocks and the classifier %v: must have at least a block, and a classifier", n.Name, len(n.Blocks), n.Classifier)
	}
	blocks, params := map[string]bool{}, map[string]bool{}
	for i, b := range n.Blocks {
		if b.Name == "" || blocks[b.Name] || b.Layer == nil {
			return fmt.Errorf("zoo: block %d of network %s has the name %q and the layer %T: must have a name of its own, and a layer", i, n.Name, b.Name, b.Layer)
		}
		blocks[b.Name] = true
	}
	for _, p := range n.Params() {
		if params[p.Name] {
			return fmt.Errorf("zoo: two parameters of network %s have the name %q: each must have its own, from Init.In(name)", n.Name, p.Name)
		}
		params[p.Name] = true
	}
	return nil
}

// Free releases all parameters and buffers.
func (n *Network) Free() { nn.Free(n.Params()) }

// Model is an entry of the zoo.
type Model struct {
	Name, Doc    string
	Width, Depth int // defaults
	Side         int // of the images that it was published for, in pixels; 0: 32

	// Takes names the options, by their recipe keys, that this network understands and others do not: any of "patch", "norm",
	// "dropout" and "drop_path". The others are refused where a user sets them, for they would be ignored.
	Takes []string

	// Build returns the network for samples of shape in. Options that are 0 have Width, Depth and the data's values by then.
	// What a user can mend is a fault that names the recipe's key.
	Build func(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error)
}

const (
	imageNetDoc = "ImageNet residual network, as torchvision has it; images of at least 32×32 (He et al. 2016)"
	vitDoc      = "vision transformer with patches of 16 and a class token, as timm has it (Dosovitskiy et al. 2021)"
	vitHugeDoc  = "the same with patches of 14"
	swinDoc     = "hierarchical transformer with shifted windows of 7, as torchvision has it (Liu et al. 2021)"
	vggDoc      = "plain convolutions and three linear layers, as torchvision has it (Simonyan and Zisserman 2015)"
	vggNormDoc  = vggDoc + ", with batch normalisation"
	groupsDoc   = "made to learn CIFAR-10 in few epochs: fixed whitening, three groups of two convolutions with batch norm and GELU, widths w, 4w, 4w (Jordan 2024)"
	deepVGGDoc  = "CIFAR VGG: five stages of (d−2)/5 convolutions, two linear layers; model.norm batch or none"
)

// What transformers and VGGs take beside what all networks do.
var (
	tokens = []string{"patch", "drop_path"}
	plain  = []string{"norm", "dropout"}
)

var models = registry.New("model.name", func(m Model) string { return m.Name })

func init() {
	for _, m := range []Model{
		{Name: "resnet32", Doc: "CIFAR residual network, 6n+2 layers, widths w, 2w, 4w (He et al. 2016)", Width: 16, Depth: 32, Build: newResNet},
		{Name: "plainnet32", Doc: "resnet32 without its identity connections (the paper's Table 3)", Width: 16, Depth: 32, Build: newPlainNet},
		{Name: "resnet18", Doc: imageNetDoc, Width: 64, Depth: 18, Side: 224, Build: newImageNetResNet},
		{Name: "resnet34", Doc: imageNetDoc, Width: 64, Depth: 34, Side: 224, Build: newImageNetResNet},
		{Name: "resnet50", Doc: imageNetDoc, Width: 64, Depth: 50, Side: 224, Build: newImageNetResNet},
		{Name: "resnet101", Doc: imageNetDoc, Width: 64, Depth: 101, Side: 224, Build: newImageNetResNet},
		{Name: "resnet152", Doc: imageNetDoc, Width: 64, Depth: 152, Side: 224, Build: newImageNetResNet},
		{Name: "vgg11", Doc: vggDoc, Width: 64, Depth: 11, Side: 224, Takes: plain, Build: newVGG("none")},
		{Name: "vgg13", Doc: vggDoc, Width: 64, Depth: 13, Side: 224, Takes: plain, Build: newVGG("none")},
		{Name: "vgg16", Doc: vggDoc, Width: 64, Depth: 16, Side: 224, Takes: plain, Build: newVGG("none")},
		{Name: "vgg19", Doc: vggDoc, Width: 64, Depth: 19, Side: 224, Takes: plain, Build: newVGG("none")},
		{Name: "vgg11_bn", Doc: vggNormDoc, Width: 64, Depth: 11, Side: 224, Takes: plain, Build: newVGG("batch")},
		{Name: "vgg13_bn", Doc: vggNormDoc, Width: 64, Depth: 13, Side: 224, Takes: plain, Build: newVGG("batch")},
		{Name: "vgg16_bn", Doc: vggNormDoc, Width: 64, Depth: 16, Side: 224, Takes: plain, Build: newVGG("batch")},
		{Name: "vgg19_bn", Doc: vggNormDoc, Width: 64, Depth: 19, Side: 224, Takes: plain, Build: newVGG("batch")},
		{Name: "vgg12", Doc: deepVGGDoc, Width: 64, Depth: 12, Takes: plain, Build: newDeepVGG},
		{Name: "vgg17", Doc: deepVGGDoc, Width: 64, Depth: 17, Takes: plain, Build: newDeepVGG},
		{Name: "vgg27", Doc: deepVGGDoc, Width: 64, Depth: 27, Takes: plain, Build: newDeepVGG},
		{Name: "vgg37", Doc: deepVGGDoc, Width: 64, Depth: 37, Takes: plain, Build: newDeepVGG},
		{Name: "vgg47", Doc: deepVGGDoc, Width: 64, Depth: 47, Takes: plain, Build: newDeepVGG},
		{Name: "vgg57", Doc: deepVGGDoc, Width: 64, Depth: 57, Takes: plain, Build: newDeepVGG},
		{Name: "vit_ti", Doc: vitDoc, Width: 192, Depth: 12, Side: 224, Takes: tokens, Build: newViT(3, 16)},
		{Name: "vit_s", Doc: vitDoc, Width: 384, Depth: 12, Side: 224, Takes: tokens, Build: newViT(6, 16)},
		{Name: "vit_b", Doc: vitDoc, Width: 768, Depth: 12, Side: 224, Takes: tokens, Build: newViT(12, 16)},
		{Name: "vit_l", Doc: vitDoc, Width: 1024, Depth: 24, Side: 224, Takes: tokens, Build: newViT(16, 16)},
		{Name: "vit_h", Doc: vitHugeDoc, Width: 1280, Depth: 32, Side: 224, Takes: tokens, Build: newViT(16, 14)},
		{Name: "swin_t", Doc: swinDoc, Width: 96, Depth: 12, Side: 224, Takes: tokens, Build: newSwin(3)},
		{Name: "swin_s", Doc: swinDoc, Width: 96, Depth: 24, Side: 224, Takes: tokens, Build: newSwin(3)},
		{Name: "swin_b", Doc: swinDoc, Width: 128, Depth: 24, Side: 224, Takes: tokens, Build: newSwin(4)},
		{Name: "plain7", Doc: "3×3 convolutions with ReLU and nothing else, every one a block, in three stages of widths w, 2w, 4w (the paper's Table 4)", Width: 32, Depth: 7, Build: newPlainConvs},
		{Name: "conv32", Doc: "5×5 convolution, tanh, max pool, linear to w, tanh, linear: DRTP's for CIFAR (Frenkel et al. 2021)", Width: 1000, Depth: 3, Build: newDRTPNet},
		{Name: "conv32_relu", Doc: "5×5 convolution, ReLU, max pool, linear, no bias: PEPITA's for CIFAR (Dellaferrera and Kreiman 2022)", Width: 32, Depth: 2, Build: newPEPITANet},
		{Name: "convgroups", Doc: groupsDoc, Width: 64, Depth: 8, Build: newConvGroups},
		{Name: "mlp", Doc: "hidden layers of width w, each Linear and ReLU", Width: 256, Depth: 3, Build: newMLP},
	} {
		Register(m)
	}
}

// Register adds a network, which recipes then name in model.name. It panics on a name that is taken or on an entry that
// cannot be built.
func Register(m Model) {
	if m.Build == nil {
		panic("model " + m.Name + " has no Build")
	}
	for _, key := range m.Takes {
		if !slices.ContainsFunc(Options{}.extras(), func(e extra) bool { return e.key == key }) {
			panic("model " + m.Name + " takes " + key + ", which is no option that only some networks take")
		}
	}
	m.Side = cmp.Or(m.Side, 32)
	models.Add(m)
}

// Models lists the networks in the order in which they were registered.
func Models() []Model { return models.All() }

// Parameters counts what a network of the default width and depth learns, and says for which side of colour images: the one
// that it was published for, with its 1000 classes, or 32 and 10. Large parameters take no memory for that.
func (m Model) Parameters() (n int64, side int, err error) {
	side, classes := cmp.Or(m.Side, 32), 10
	if m.Side > 32 {
		classes = 1000
	}
	init := nn.Init{Device: torch.CPU, Later: true} // without values, for which the engine need not be there
	defer torch.Catch(&err)                         // of a network that writes into its parameters while it is built
	net, err := m.Build(Options{Name: m.Name, Width: m.Width, Depth: m.Depth}, nn.Shape{C: 3, H: side, W: side}, classes, init)
	if err != nil {
		return 0, side, err
	}
	params := net.Params()
	defer nn.Free(params)
	for _, t := range nn.Trainable(params) {
		n += t.Numel()
	}
	return n, side, nil
}

// LookupModel returns the network of a name, or a fault.
func LookupModel(name string) (Model, error) { return models.Lookup(name) }

// New builds a network for images of shape in. o.Classes and o.Image, where set, take the place of the data's.
func New(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
	m, err := models.Lookup(o.Name)
	if err != nil {
		return nil, err
	}
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
	if err = o.fits(m); err != nil {
		return nil, err
	}
	init.Room = cmp.Or(init.Room, Room())
	err = init.Rehearse(func(init nn.Init) ([]*nn.Param, error) {
		net, err := m.build(o, in, classes, init)
		if err != nil {
			return nil, err
		}
		return net.Params(), nil
	})
	if tooLarge, ok := errors.AsType[*nn.TooLarge](err); ok {
		return nil, fault.New("model.name is %s: %w: fits with a smaller model.width, model.depth, model.image or model.classes", o.Name, tooLarge)
	}
	if err != nil {
		return nil, err
	}
	return m.build(o, in, classes, init)
}

// build is Build of somebody who may be wrong.
func (m Model) build(o Options, in nn.Shape, classes int, init nn.Init) (*Network, error) {
	net, err := m.Build(o, in, classes, init)
	if err != nil {
		return nil, err
	}
	if net == nil {
		return nil, fmt.Errorf("zoo: the builder of %s returns no network", m.Name)
	}
	if err := net.Check(); err != nil {
		net.Free()
		return nil, err
	}
	return net, nil
}

// Room is what the parameters of a network and its heads may take: half of this machine's memory, since gradients take as
// much again.
func Room() *nn.Room { return nn.NewRoom(host.Memory() / 2) }

// An extra is an option that only some networks take.
type extra struct {
	key   string
	value any
	set   bool
	unset string // the values that leave it to the network
}

func (o Options) extras() []extra {
	return []extra{
		{"patch", o.Patch, o.Patch != 0, "0"},
		{"norm", o.Norm, o.Norm != "" && o.Norm != "auto", "auto"},
		{"dropout", o.Dropout, o.Dropout > 0, "0 or -1"},
		{"drop_path", o.DropPath, o.DropPath != 0, "0"},
	}
}

// fits refuses what m would ignore.
func (o Options) fits(m Model) error {
	for _, e := range o.extras() {
		if !e.set || slices.Contains(m.Takes, e.key) {
			continue
		}
		var takers []string
		for _, other := range Models() {
			if slices.Contains(other.Takes, e.key) {
				takers = append(takers, other.Name)
			}
		}
		return fault.New("model.%s is %v: must be %s for %s; %s take it", e.key, e.value, e.unset, o.Name, strings.Join(takers, ", "))
	}
	return nil
}

func sideAfter(side, stride int) int { return (side + stride - 1) / stride }

func blockName(stage, index int) string { return fmt.Sprintf("layer%d.%d", stage, index) }
