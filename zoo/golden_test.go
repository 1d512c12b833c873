package zoo_test

import (
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

func TestBlocksAndHeadsAgreeWithPyTorch(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	g := nntest.Open(t, s, "testdata/blocks.safetensors")
	init := nn.Init{Seed: 1, Device: nntest.Device(t)}
	net, err := zoo.New(zoo.Options{Name: "resnet32", Depth: 8, Width: 4}, nn.Shape{C: 3, H: 8, W: 8}, 10, init)
	if err != nil {
		t.Fatal(err)
	}
	defer nn.Free(net.Params())
	layers := map[string]nn.Layer{}
	for _, b := range net.Blocks {
		layers[b.Name] = b.Layer
	}
	for _, h := range []struct {
		name string
		k    int
		o    zoo.HeadOptions
		in   nn.Shape
	}{
		{"heads.1", 1, zoo.HeadOptions{Name: "conv", Width: 8}, nn.Shape{C: 4, H: 8, W: 8}},
		{"heads.2", 2, zoo.HeadOptions{Name: "linear"}, nn.Shape{C: 8, H: 4, W: 4}},
	} {
		head := newHead(t, h.o, h.k, h.in, 10, init)
		defer nn.Free(nn.Params(head))
		layers[h.name] = head
	}
	for _, name := range []string{"layer1.0", "layer2.0", "heads.1", "heads.2"} {
		t.Run(name, func(t *testing.T) { g.Check(t, nntest.Case{Name: name, Layer: layers[name]}) })
		t.Run(name+" in evaluation", func(t *testing.T) {
			g.Check(t, nntest.Case{Name: name + "_eval", Layer: layers[name], Eval: true})
		})
	}
}

// newHead builds a head on features of shape in, as if a network of one block put them out.
func newHead(t *testing.T, o zoo.HeadOptions, k int, in nn.Shape, classes int, init nn.Init) nn.Layer {
	t.Helper()
	head, err := tryHead(o, true, k, in, classes, init)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func tryHead(o zoo.HeadOptions, prescribed bool, k int, in nn.Shape, classes int, init nn.Init) (nn.Layer, error) {
	h, err := zoo.LookupHead(o.Name, prescribed)
	if err != nil {
		return nil, err
	}
	net := &zoo.Network{Classes: classes, Blocks: []nn.Block{{Out: in}}}
	return h.New(o, zoo.Cut{Net: net, Module: k, Modules: k + 1, End: 1}, init)
}

func TestImageNetDecoderAgreesWithPyTorch(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	net := &zoo.Network{Input: nn.Shape{C: 3, H: 112, W: 112}, Blocks: []nn.Block{{Name: "b", Out: nn.Shape{C: 6, H: 7, W: 7}}}}
	d, err := zoo.NewAux("decoder", zoo.Cut{Net: net, Module: 1, Modules: 2, End: 1}, nn.Init{Device: torch.CPU})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { nn.Free(nn.Params(d)) }()
	for _, p := range nn.Params(d) {
		p.Convert(torch.Float64)
	}
	nntest.Fill(nn.Params(d))
	y := d.Forward(nn.Train(s, torch.Float64, nil), nntest.FormulaTensor(s, "features", 1, 2, 6, 7, 7))
	nntest.Open(t, s, "testdata/decoder.safetensors").CheckDigest(t, "", "image", y.Float64s(), 1e-10)
}
