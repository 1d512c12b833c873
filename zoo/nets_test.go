package zoo_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

func build(t testing.TB, o zoo.Options, image, classes int) *zoo.Network {
	t.Helper()
	o.Image = image
	net, err := zoo.New(o, nn.Shape{C: 3}, classes, nn.Init{Seed: 1, Device: nntest.Device(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nn.Free(net.Params()) })
	return net
}

// whole is a network as one layer.
func whole(n *zoo.Network) nn.Sequential {
	var all nn.Sequential
	for _, b := range n.Blocks {
		all = append(all, b.Layer)
	}
	return append(all, n.Classifier)
}

// Narrow nets of every family, with the names and weights of the reference implementation's.
var small = []struct {
	name  string
	o     zoo.Options
	image int
	batch int64
}{
	{"vit", zoo.Options{Name: "vit_ti", Width: 24, Depth: 3, Patch: 8}, 32, 3},
	{"swin", zoo.Options{Name: "swin_t", Width: 12, Depth: 8}, 72, 2},
	{"swin_56", zoo.Options{Name: "swin_t", Width: 12, Depth: 7}, 56, 2},
	{"vgg", zoo.Options{Name: "vgg11", Width: 2}, 64, 3},
	{"vgg_bn", zoo.Options{Name: "vgg11_bn", Width: 2}, 64, 3},
}

func TestNetsAgreeWithTheirReferences(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	g := nntest.Open(t, s, "testdata/nets.safetensors")
	for _, tt := range small {
		for _, precision := range []struct {
			dtype torch.DType
			tol   float64
		}{{torch.Float64, 1e-10}, {torch.Float32, 1e-4}} {
			t.Run(fmt.Sprint(tt.name, " ", precision.dtype), func(t *testing.T) {
				side := int64(tt.image)
				worst := g.CheckNet(t, nntest.Net{
					Name: tt.name, Layer: whole(build(t, tt.o, tt.image, 10)), Input: []int64{tt.batch, 3, side, side},
					DType: precision.dtype, Tol: precision.tol,
				})
				t.Logf("worst relative error %.1e", worst)
			})
		}
	}
}

// The numbers are those of timm's and torchvision's models.
func TestNetsHaveTheirPublishedSize(t *testing.T) {
	for _, tt := range []struct {
		name   string
		params int64
	}{
		{"vit_ti", 5_717_416}, {"vit_s", 22_050_664}, {"vit_b", 86_567_656}, {"vit_l", 304_326_632}, {"vit_h", 632_045_800},
		{"swin_t", 28_288_354}, {"swin_s", 49_606_258}, {"swin_b", 87_768_224},
		{"vgg11", 132_863_336}, {"vgg13_bn", 133_053_736}, {"vgg16", 138_357_544}, {"vgg19_bn", 143_678_248},
	} {
		t.Run(tt.name, func(t *testing.T) {
			net, err := zoo.New(zoo.Options{Name: tt.name, Image: 224, Dropout: -1}, nn.Shape{C: 3}, 1000,
				nn.Init{Device: torch.CPU, Later: true, Room: nn.NewRoom(math.MaxInt64)})
			if err != nil {
				t.Fatal(err)
			}
			params := net.Params()
			defer nn.Free(params)
			var n int64
			for _, p := range nn.Trainable(params) {
				n += p.Numel()
			}
			if n != tt.params {
				t.Errorf("%d parameters, want %d", n, tt.params)
			}
		})
	}
}

// Depths of the study on CIFAR: as many weight layers as the name says, with and without normalisation.
func TestDeepVGG(t *testing.T) {
	for _, depth := range []int{12, 17, 27, 37, 47, 57} {
		for _, norm := range []string{"none", "batch"} {
			net := build(t, zoo.Options{Name: fmt.Sprint("vgg", depth), Width: 1, Norm: norm}, 32, 10)
			layers := 0
			for _, p := range net.Params() {
				if len(p.Value.Shape()) > 1 {
					layers++
				}
			}
			if normed := strings.Contains(names(net), "running_mean"); layers != depth || normed != (norm == "batch") {
				t.Errorf("vgg%d with norm %s has %d weight layers, normalised %v", depth, norm, layers, normed)
			}
		}
	}
}

func names(net *zoo.Network) string {
	var all []string
	for _, p := range net.Params() {
		all = append(all, p.Name)
	}
	return strings.Join(all, " ")
}

// Blocks put out what they say, whatever the image, and nothing is left behind.
func TestNetsShapes(t *testing.T) {
	for _, tt := range small {
		for _, image := range []int{64, 96} {
			t.Run(fmt.Sprint(tt.name, " ", image), func(t *testing.T) {
				net := build(t, tt.o, image, 5)
				before := torch.LiveTensors()
				s := torch.NewScope(torch.NoGrad)
				p := nn.Train(s, torch.Float32, nil)
				x := s.Full(torch.Float32, 1, 2, 3, int64(image), int64(image))
				for _, b := range net.Blocks {
					x = b.Layer.Forward(p, x)
					want := []int64{2, int64(b.Out.C), int64(b.Out.H), int64(b.Out.W)}
					if b.Out.Tokens > 0 {
						want = []int64{2, int64(b.Out.Tokens), int64(b.Out.C)}
					}
					if got := x.Shape(); !slices.Equal(got, want) {
						t.Fatalf("%s puts out %v, says %v", b.Name, got, want)
					}
				}
				logits := net.Classifier.Forward(p, x)
				if got := logits.Shape(); !slices.Equal(got, []int64{2, 5}) {
					t.Errorf("the classifier puts out %v", got)
				}
				logits.Free()
				if left := torch.LiveTensors() - before; left != 0 {
					t.Errorf("%d tensors are left of a forward pass", left)
				}
				s.Close()
				for _, ends := range net.Cuts {
					for _, e := range ends {
						if !slices.ContainsFunc(net.Blocks, func(b nn.Block) bool { return b.Name == e }) {
							t.Errorf("there is no block %q to cut behind", e)
						}
					}
				}
			})
		}
	}
}

func TestNetsRefuse(t *testing.T) {
	for _, tt := range []struct {
		o    zoo.Options
		want string
	}{
		{zoo.Options{Name: "vit_s", Image: 30}, "model.image is 30×30: vit_s needs a multiple of model.patch, 16"},
		{zoo.Options{Name: "vit_s", Image: 32, Patch: 64}, "model.image is 32×32: vit_s needs a multiple of model.patch, 64"},
		{zoo.Options{Name: "vit_s", Image: 32, Width: 100}, "model.width is 100: must be a multiple of the 6 heads of vit_s"},
		{zoo.Options{Name: "swin_t", Image: 33}, "model.image is 33×33: swin_t needs a multiple of model.patch, 4"},
		{zoo.Options{Name: "swin_t", Image: 32, Depth: 6}, "model.depth is 6: swin_t needs at least 7 blocks, of which the third stage has all but 6"},
		{zoo.Options{Name: "swin_t", Image: 32, Width: 97}, "model.width is 97: must be a multiple of the 3 heads of swin_t"},
		{zoo.Options{Name: "vgg16", Image: 28}, "model.image is 28×28: vgg16 needs at least 32×32"},
		{zoo.Options{Name: "vgg16", Image: 32, Depth: 17}, "model.depth is 17: vgg16 needs 11, 13, 16 or 19 layers"},
		{zoo.Options{Name: "vgg17", Image: 32, Depth: 18}, "model.depth is 18: vgg17 needs 5n+2 layers, such as 12, 17, 27, 37, 47 or 57"},
		{zoo.Options{Name: "resnet32", Image: 32, Patch: 4}, "model.patch is 4: must be 0 for resnet32; vit_ti, vit_s, …"},
		{zoo.Options{Name: "vgg16", Image: 32, DropPath: 0.1}, "model.drop_path is 0.1: must be 0 for vgg16; vit_ti, vit_s, …"},
		{zoo.Options{Name: "vit_s", Image: 32, Dropout: 0.1}, "model.dropout is 0.1: must be 0 or -1 for vit_s; vgg11, vgg13, …"},
		{zoo.Options{Name: "resnet32", Image: 32, Norm: "none"}, "model.norm is none: must be auto for resnet32; vgg11, vgg13, …"},
	} {
		_, err := zoo.New(tt.o, nn.Shape{C: 3}, 10, nn.Init{Device: torch.CPU})
		start, more := strings.CutSuffix(tt.want, "…")
		if err == nil || !strings.HasPrefix(err.Error(), start) || !more && err.Error() != start {
			t.Errorf("%+v: %v, want %q", tt.o, err, tt.want)
		}
	}
}
