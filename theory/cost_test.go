package theory

import (
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Forward passes have published counts: 69 million for CIFAR's ResNet-32; torchvision gives 4.09 and 7.80 billion for
// ResNet-50 and ResNet-101.
func TestCosts(t *testing.T) {
	costs, err := Costs()
	if err != nil {
		t.Fatal(err)
	}
	published := map[string]float64{"resnet32": 69e6, "resnet50": 4.09e9, "resnet101": 7.80e9}
	for _, c := range costs {
		if !near(float64(c.Forward), published[c.Model], 0.01) {
			t.Errorf("%s: %d multiply-adds forward, published %g", c.Model, c.Forward, published[c.Model])
		}
		if c.BP >= 3*c.Forward || c.LayerWise <= c.BP || c.SGR <= c.LayerWise || c.SGR > 2*c.LayerWise || c.Term < 1 {
			t.Errorf("%+v: out of order", c)
		}
	}
}

// PyTorch's own counter agrees to the last product (products.py). But for this: in a double backward it computes the
// weight's gradient of a convolution of stride 2 for a kernel one element larger each way, and cuts it: at the head of
// stages 2 and 3, 4×4 instead of 3×3 and 2×2 instead of 1×1.
func TestCostsAreThoseOfPyTorch(t *testing.T) {
	const larger = (16-9)*16*32*16*16 + (4-1)*16*32*16*16 // in stage 2; stage 3 has as many
	for _, want := range []struct {
		k                 int
		layerWise, double int64
		strided           int64 // stages 2 and 3 that begin in a module with a term
	}{
		{1, 206931840, 206931840, 0}, {2, 233948032, 302893824, 1},
		{3, 289275776, 455492352, 2}, {16, 711789440, 1401969408, 2},
	} {
		modules, err := nets[0].count(want.k)
		if err != nil {
			t.Fatal(err)
		}
		if c := price(modules); c.LayerWise != want.layerWise || c.SGR+want.strided*larger != want.double || c.BP != 206931840 {
			t.Errorf("K = %d: %+v, PyTorch counts %+v", want.k, c, want)
		}
	}
}

// One module is back-propagation.
func TestOneModuleCostsBP(t *testing.T) {
	n := net{model: zoo.Options{Name: "resnet32", Depth: 8}, in: nn.Shape{C: 3, H: 8, W: 8}, classes: 10}
	tensors := torch.LiveTensors()
	work, err := n.count(1)
	if err != nil {
		t.Fatal(err)
	}
	if left := torch.LiveTensors() - tensors; left != 0 {
		t.Errorf("counting leaves %d tensors", left)
	}
	if c := price(work); c.LayerWise != c.BP || c.SGR != c.BP {
		t.Errorf("%+v: want the same for every method", c)
	}
	stem := int64(3 * 16 * 9 * 8 * 8) // reads the image, of which nobody wants a gradient
	if work[0].entry != stem {
		t.Errorf("%d multiply-adds read the image, want %d", work[0].entry, stem)
	}
}
