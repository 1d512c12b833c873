package export_test

import (
	"bytes"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/locus-learn/locus/export"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// small returns options under which a network of the zoo is quick to run, and the side of its images.
func small(m zoo.Model) (o zoo.Options, side int) {
	o = zoo.Options{Name: m.Name, Width: 8, Dropout: -1}
	switch {
	case m.Name == "vit_l": // 16 heads
		return zoo.Options{Name: m.Name, Width: 32, Depth: 2, Dropout: -1}, 48
	case m.Name == "vit_h": // and patches of 14
		return zoo.Options{Name: m.Name, Width: 32, Depth: 2, Dropout: -1}, 42
	case strings.HasPrefix(m.Name, "vit"):
		return zoo.Options{Name: m.Name, Width: 24, Depth: 2, Dropout: -1}, 48
	case m.Name == "swin_b":
		return zoo.Options{Name: m.Name, Width: 32, Depth: 8, Dropout: -1}, 40
	case strings.HasPrefix(m.Name, "swin"): // two windows across the first stage, padding in the others
		return zoo.Options{Name: m.Name, Width: 24, Depth: 8, Dropout: -1}, 56
	case m.Name == "vgg11": // its pool to 7×7 gets other maps
		return o, 96
	}
	return o, 32
}

// build makes a network whose parameters and running statistics are all drawn, so that none can be left out unnoticed.
func build(t *testing.T, m zoo.Model) *zoo.Network {
	t.Helper()
	o, side := small(m)
	net, err := zoo.New(o, nn.Shape{C: 3, H: side, W: side}, 5, nn.Init{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Free)
	for i, p := range net.Params() {
		switch {
		case p.Value.DType() != torch.Float32:
		case strings.HasSuffix(p.Name, "running_var"):
			p.Value.Uniform(0.5, 2, uint64(i))
		case !p.Trainable, strings.HasSuffix(p.Name, "bias"):
			p.Value.Uniform(-0.3, 0.3, uint64(i))
		}
	}
	return net
}

// layers are all of a network.
func layers(net *zoo.Network) (all []nn.Layer) {
	for _, b := range net.Blocks {
		all = append(all, b.Layer)
	}
	return append(all, net.Classifier)
}

// forward runs layers on two samples and returns input and output.
func forward(s *torch.Scope, in nn.Shape, all ...nn.Layer) (x, y torch.Tensor) {
	dims := []int64{2, int64(in.C), int64(in.H), int64(in.W)}
	if in.H == 0 {
		dims = dims[:2]
	}
	x = s.Full(torch.Float32, 0, dims...)
	x.Normal(0, 1, 3)
	return x, nn.Sequential(all).Forward(nn.Evaluate(s, torch.Float32), s.Clone(x))
}

// compare says by how much two outputs differ, relative to the largest element.
func compare(got, want []float64) float64 {
	worst, most := 0.0, 1e-30
	for i := range want {
		worst, most = max(worst, math.Abs(got[i]-want[i])), max(most, math.Abs(want[i]))
	}
	if len(got) != len(want) || math.IsNaN(worst) {
		return math.Inf(1)
	}
	return worst / most
}

// What libtorch reads back from an archive computes what the network does, for every network of the zoo.
func TestScriptsComputeWhatNetworksDo(t *testing.T) {
	for _, m := range zoo.Models() {
		t.Run(m.Name, func(t *testing.T) {
			net := build(t, m)
			g, err := export.Draw(m.Name, net.Input, layers(net)...)
			if err != nil {
				t.Fatal(err)
			}
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			x, want := forward(s, net.Input, layers(net)...)
			path := filepath.Join(t.TempDir(), "net.pt")
			if err := g.WriteScript(path, torch.Float32, map[string]string{"locus.json": "{}"}); err != nil {
				t.Fatal(err)
			}
			if worst := compare(s.RunScript(path, x).Float64s(), want.Float64s()); worst > 2e-5 {
				t.Errorf("outputs differ by %g of the largest", worst)
			}
			if got := g.Output.Dims; len(got) != 2 || got[1] != 5 {
				t.Errorf("the graph's output is %v", got)
			}
			checkONNX(t, g, torch.Float32)
		})
	}
}

// Every head that answers can be the last layer.
func TestHeadsAreExits(t *testing.T) {
	for _, name := range []string{"resnet18", "vit_ti"} {
		m, err := zoo.LookupModel(name)
		if err != nil {
			t.Fatal(err)
		}
		net := build(t, m)
		for _, h := range zoo.Heads() {
			if h.Embeds || name == "vit_ti" && h.Name == "auglocal" || name == "vit_ti" && h.Name == "conv" {
				continue
			}
			o := zoo.HeadOptions{Name: h.Name, Width: 8, Pool: "mean", Depth: 2, Widths: []int{8, 8}}
			head, err := h.New(o, zoo.Cut{Net: net, Module: 1, Modules: 2, End: 2}, nn.Init{Seed: 2})
			if err != nil {
				t.Fatal(name, h.Name, err)
			}
			all := []nn.Layer{net.Blocks[0].Layer, net.Blocks[1].Layer, head}
			g, err := export.Draw(h.Name, net.Input, all...)
			if err != nil {
				t.Fatal(name, h.Name, err)
			}
			s := torch.NewScope(torch.NoGrad)
			x, want := forward(s, net.Input, all...)
			path := filepath.Join(t.TempDir(), "net.pt")
			if err := g.WriteScript(path, torch.Float32, nil); err != nil {
				t.Fatal(name, h.Name, err)
			}
			if worst := compare(s.RunScript(path, x).Float64s(), want.Float64s()); worst > 2e-5 {
				t.Errorf("%s, head %s: outputs differ by %g of the largest", name, h.Name, worst)
			}
			s.Close()
			checkONNX(t, g, torch.Float32)
			nn.Free(nn.Params(head))
		}
	}
}

func TestHalfTypesAreRounded(t *testing.T) {
	m, err := zoo.LookupModel("vit_ti")
	if err != nil {
		t.Fatal(err)
	}
	net := build(t, m)
	g, err := export.Draw(m.Name, net.Input, layers(net)...)
	if err != nil {
		t.Fatal(err)
	}
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	x, want := forward(s, net.Input, layers(net)...)
	full := checkONNX(t, g, torch.Float32)
	for dtype, tolerance := range map[torch.DType]float64{torch.BFloat16: 2e-2, torch.Float16: 2e-3} {
		path := filepath.Join(t.TempDir(), "net.pt")
		if err := g.WriteScript(path, dtype, nil); err != nil {
			t.Fatal(err)
		}
		if worst := compare(s.RunScript(path, x).Float64s(), want.Float64s()); worst > tolerance || worst < 1e-5 {
			t.Errorf("%v: outputs differ by %g of the largest", dtype, worst)
		}
		if half := checkONNX(t, g, dtype); half > full*2/3 {
			t.Errorf("%v: the ONNX file has %d bytes, in float32 %d", dtype, half, full)
		}
	}
}

type own struct{}

func (own) Forward(_ *nn.Pass, x torch.Tensor) torch.Tensor { return x }

type drawn struct{ own }

func (drawn) Draw(g *export.Graph, x export.Value) (export.Value, error) {
	return g.Add(export.ReLU, x.Dims, 0, nil, x.Name), nil
}

func TestLayersOfOnesOwn(t *testing.T) {
	if _, err := export.Draw("x", nn.Shape{C: 3}, own{}); !fault.Is(err) || !strings.Contains(err.Error(), "export_test.own") {
		t.Errorf("a layer without Draw: %v", err)
	}
	g, err := export.Draw("x", nn.Shape{C: 3}, drawn{})
	if err != nil || len(g.Nodes) != 1 {
		t.Errorf("a layer with Draw: %v, %+v", err, g)
	}
}

// checkONNX reads a file of ONNX back by its wire format: every name that a node takes has been made before, once, and every
// initializer has as many bytes as its shape says. It returns the file's size. The values are checked by a script beside
// onnxruntime.
func checkONNX(t *testing.T, g *export.Graph, dtype torch.DType) int {
	t.Helper()
	var b bytes.Buffer
	if err := g.WriteONNX(&b, dtype, map[string]string{"net": g.Name}); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"": true}
	define := func(name string) {
		if known[name] {
			t.Errorf("%s: %q is made twice", g.Name, name)
		}
		known[name] = true
	}
	graph := fields(t, b.Bytes())[7][0]
	parts := fields(t, graph)
	for _, input := range parts[11] {
		define(string(fields(t, input)[1][0]))
	}
	for _, tensor := range parts[5] {
		f := fields(t, tensor)
		define(string(f[8][0]))
	}
	for _, node := range parts[1] {
		f := fields(t, node)
		for _, in := range f[1] {
			if !known[string(in)] {
				t.Errorf("%s: %s takes %q, which is not made yet", g.Name, f[4][0], in)
			}
		}
		define(string(f[2][0]))
	}
	for _, output := range parts[12] {
		if name := string(fields(t, output)[1][0]); !known[name] {
			t.Errorf("%s: the output %q is not made", g.Name, name)
		}
	}
	return b.Len()
}

// fields are the bytes of a message's fields by their numbers; of numbers, nothing.
func fields(t *testing.T, b []byte) map[protowire.Number][][]byte {
	t.Helper()
	all := map[protowire.Number][][]byte{}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		if kind == protowire.BytesType {
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				t.Fatal(protowire.ParseError(n))
			}
			all[number], b = append(all[number], v), b[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
	}
	return all
}
