package zoo_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

func imageNet(t *testing.T, name string, width, image, classes int) *zoo.Network {
	t.Helper()
	net, err := zoo.New(zoo.Options{Name: name, Width: width, Image: image}, nn.Shape{C: 3}, classes,
		nn.Init{Seed: 1, Device: nntest.Device(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nn.Free(net.Params()) })
	return net
}

// The numbers are those of torchvision's models.
func TestImageNetResNetsHaveTorchvisionsSize(t *testing.T) {
	for _, tt := range []struct {
		name   string
		params int64
	}{
		{"resnet18", 11_689_512}, {"resnet34", 21_797_672}, {"resnet50", 25_557_032}, {"resnet101", 44_549_160},
		{"resnet152", 60_192_808},
	} {
		t.Run(tt.name, func(t *testing.T) {
			net := imageNet(t, tt.name, 0, 224, 1000)
			var n int64
			for _, p := range nn.Trainable(net.Params()) {
				n += p.Numel()
			}
			if n != tt.params {
				t.Errorf("%d parameters, want %d", n, tt.params)
			}
		})
	}
}

func TestImageNetResNetHasTorchvisionsNames(t *testing.T) {
	net := imageNet(t, "resnet50", 1, 32, 2)
	var names []string
	for _, p := range net.Params() {
		names = append(names, fmt.Sprint(p.Name, p.Value.Shape()))
	}
	list := strings.Join(names, " ")
	for _, want := range []string{
		"conv1.weight[1 3 7 7] bn1.weight[1] bn1.bias[1] bn1.running_mean[1] bn1.running_var[1] bn1.num_batches_tracked[] " +
			"layer1.0.conv1.weight[1 1 1 1] layer1.0.bn1.weight[1]",
		"layer3.5.conv2.weight[4 4 3 3] ", "layer3.5.conv3.weight[16 4 1 1] layer3.5.bn3.weight[16] ",
		"layer4.0.bn3.num_batches_tracked[] layer4.0.downsample.0.weight[32 16 1 1] layer4.0.downsample.1.weight[32] ",
		"layer4.2.bn3.num_batches_tracked[] fc.weight[2 32] fc.bias[2]",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("the parameters lack %q", want)
		}
	}
}

func TestImageNetResNetAgreesWithPyTorch(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	g := nntest.Open(t, s, "testdata/imagenet.safetensors")
	net := imageNet(t, "resnet50", 4, 32, 10)
	for _, b := range net.Blocks {
		if !slices.Contains([]string{"stem", "layer1.0", "layer1.1", "layer2.0"}, b.Name) {
			continue
		}
		t.Run(b.Name, func(t *testing.T) { g.Check(t, nntest.Case{Name: b.Name, Layer: b.Layer}) })
		t.Run(b.Name+" in evaluation", func(t *testing.T) {
			g.Check(t, nntest.Case{Name: b.Name + "_eval", Layer: b.Layer, Eval: true})
		})
	}
}

// Blocks say what they put out, and cuts are blocks, whatever the side of the image.
func TestImageNetResNetShapes(t *testing.T) {
	for _, name := range []string{"resnet18", "resnet50"} {
		for _, image := range []int{32, 45, 64} {
			t.Run(fmt.Sprint(name, " ", image), func(t *testing.T) {
				net := imageNet(t, name, 2, image, 5)
				s := torch.NewScope(torch.NoGrad)
				defer s.Close()
				p := nn.Train(s, torch.Float32, nil)
				x := s.Full(torch.Float32, 1, 2, 3, int64(image), int64(image))
				blocks := map[string]bool{}
				for _, b := range net.Blocks {
					x = b.Layer.Forward(p, x)
					blocks[b.Name] = true
					want := []int64{2, int64(b.Out.C), int64(b.Out.H), int64(b.Out.W)}
					if got := x.Shape(); !slices.Equal(got, want) {
						t.Fatalf("%s puts out %v, says %v", b.Name, got, want)
					}
				}
				if got := net.Classifier.Forward(p, x).Shape(); !slices.Equal(got, []int64{2, 5}) {
					t.Errorf("the classifier puts out %v", got)
				}
				for k, ends := range net.Cuts {
					if len(ends) != k-1 {
						t.Errorf("%d cuts make %d modules", len(ends), k)
					}
					for _, e := range ends {
						if !blocks[e] {
							t.Errorf("there is no block %q to cut behind", e)
						}
					}
				}
			})
		}
	}
}

func TestImageNetResNetRefuses(t *testing.T) {
	for _, o := range []zoo.Options{{Name: "resnet50", Image: 31}, {Name: "resnet50", Image: 224, Depth: 56}} {
		if _, err := zoo.New(o, nn.Shape{C: 3}, 10, nn.Init{Device: torch.CPU}); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// The convolutions of InfoPro's head as its authors publish it, and as our rule continues it.
func TestInfoProHead(t *testing.T) {
	for _, tt := range []struct {
		in      nn.Shape
		weights []string // of the convolutions
	}{
		{nn.Shape{C: 512, H: 28, W: 28}, []string{"128x512x1", "256x128x3/2", "512x256x3/2", "2048x512x1"}},
		{nn.Shape{C: 1024, H: 14, W: 14}, []string{"256x1024x1", "256x256x3/2", "512x256x3/2", "2048x512x1"}},
		{nn.Shape{C: 256, H: 56, W: 56}, []string{"64x256x1", "256x64x3/2", "256x256x3/2", "512x256x3/2", "2048x512x1"}},
		{nn.Shape{C: 256, H: 14, W: 14}, []string{"64x256x1", "256x64x3/2", "512x256x3", "2048x512x1"}},
		{nn.Shape{C: 2048, H: 7, W: 7}, []string{"512x2048x1", "256x512x3", "512x256x3", "2048x512x1"}},
		{nn.Shape{C: 64, H: 56, W: 56}, []string{"64x64x1", "256x64x3/2", "256x256x3/2", "512x256x3/2", "2048x512x1"}},
		{nn.Shape{C: 64, H: 8, W: 8}, []string{"64x64x3"}},
		{nn.Shape{C: 32, H: 16, W: 16}, []string{"64x32x3/2"}},
		{nn.Shape{C: 16, H: 32, W: 32}, []string{"32x16x3/2"}},
	} {
		t.Run(fmt.Sprint(tt.in), func(t *testing.T) {
			head := newHead(t, zoo.HeadOptions{Name: "infopro"}, 3, tt.in, 7, nn.Init{Device: torch.CPU})
			defer nn.Free(nn.Params(head))
			var got []string
			for _, l := range head.(nn.Sequential) {
				if c, ok := l.(*nn.ConvNormReLU); ok {
					w := c.Conv.Weight.Value.Shape()
					text := fmt.Sprintf("%dx%dx%d", w[0], w[1], w[2])
					if c.Conv.Stride != 1 {
						text += fmt.Sprintf("/%d", c.Conv.Stride)
					}
					got = append(got, text)
				}
			}
			if !slices.Equal(got, tt.weights) {
				t.Errorf("convolutions %v, want %v", got, tt.weights)
			}
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			x := s.Full(torch.Float32, 1, 2, int64(tt.in.C), int64(tt.in.H), int64(tt.in.W))
			if out := head.Forward(nn.Train(s, torch.Float32, nil), x).Shape(); !slices.Equal(out, []int64{2, 7}) {
				t.Errorf("puts out %v", out)
			}
			if first := nn.Params(head)[0].Name; first != "heads.3.conv1.weight" {
				t.Errorf("the first parameter is %q", first)
			}
		})
	}
	if _, err := tryHead(zoo.HeadOptions{Name: "infopro"}, false, 1, nn.Shape{C: 512}, 7, nn.Init{Device: torch.CPU}); err == nil {
		t.Error("a head on a vector is accepted")
	}
}
