package theory

import (
	"testing"

	"github.com/locus-learn/locus/nn"
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

// PyTorch's own counter agrees to the last product (testdata/products.py). Its double backward also computes the gradient
// of the input that nobody wants, which the replay leaves out: in the first block of every module but the first.
func TestCostsAreThoseOfPyTorch(t *testing.T) {
	for _, want := range []struct {
		k                 int
		layerWise, double int64
	}{{1, 206931840, 206931840}, {2, 233948032, 302893824}, {3, 289275776, 455492352}, {16, 711789440, 1401969408}} {
		modules, err := nets[0].count(want.k)
		if err != nil {
			t.Fatal(err)
		}
		unwanted := int64(0)
		for _, w := range modules[1:] {
			unwanted += w.entry
		}
		if c := price(modules); c.LayerWise != want.layerWise || c.SGR+unwanted != want.double || c.BP != 206931840 {
			t.Errorf("K = %d: %+v and %d unwanted, PyTorch counts %+v", want.k, c, unwanted, want)
		}
	}
}

// One module is back-propagation.
func TestOneModuleCostsBP(t *testing.T) {
	n := net{model: zoo.Options{Name: "resnet32", Depth: 8}, in: nn.Shape{C: 3, H: 8, W: 8}, classes: 10}
	work, err := n.count(1)
	if err != nil {
		t.Fatal(err)
	}
	if c := price(work); c.LayerWise != c.BP || c.SGR != c.BP {
		t.Errorf("%+v: want the same for every method", c)
	}
	stem := int64(3 * 16 * 9 * 8 * 8) // reads the image, of which nobody wants a gradient
	if work[0].entry != stem {
		t.Errorf("%d multiply-adds read the image, want %d", work[0].entry, stem)
	}
}
