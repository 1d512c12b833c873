package cli

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/locus-learn/locus/safetensors"
)

// Weights for other classes start the classifier anew, and four lines say so.
func TestInitSaysWhatBecameOfTheWeights(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "0", "--set", "model.classes=12")...)
	r := locus(t.Context(), b.train("other", "--steps", "0", "--init", b.path("run/last.safetensors"), "--set", "model.classes=10", "--set", "head.width=6")...)
	if r.code != 0 {
		t.Fatal(r.err)
	}
	for _, want := range []string{"taken ", " tensors\n", "resized    0\n", "fresh      4: fc.weight (10 classes, the file has 12); fc.bias", "heads.1 (a local head)", "left over  "} {
		if !strings.Contains(r.err, want) {
			t.Errorf("want %q in\n%s", want, r.err)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	b := newWorkbench(t)
	write(t, b.path("x.pth"), []byte("no zip"))
	refuse(t, []string{"x.pth", "no state dict"}, b.train("a", "--init", b.path("x.pth"))...)
	refuse(t, []string{"evil.pth", "system"}, b.train("a", "--init", "../torchfile/testdata/evil.pth")...)
	refuse(t, []string{"plain.pth", "conv1.weight"}, b.train("a", "--init", "../torchfile/testdata/plain.pth")...)
}

// Finite weights whose answers are not: nobody is told an accuracy or a class, nor to lower a rate that has changed nothing.
func TestWeightsThatOverflow(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "1")...)
	f, err := safetensors.Open(b.path("run/last.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []safetensors.Tensor
	for _, name := range f.Names() {
		data, err := f.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := f.Info(name)
		if name == "bn1.bias" {
			binary.LittleEndian.PutUint32(data, math.Float32bits(1e38))
		}
		tensors = append(tensors, safetensors.Tensor{Name: name, DType: info.DType, Shape: info.Shape, Data: data})
	}
	large := b.path("large.safetensors")
	if err := safetensors.Write(large, tensors, f.Metadata()); err != nil {
		t.Fatal(err)
	}
	drawPNG(t, b.path("x.png"), 32, 32)
	refuse(t, []string{"large.safetensors", "module 1, 2, 3", "not finite"}, "eval", large, "--data", b.data)
	refuse(t, []string{"large.safetensors", "not finite"}, "predict", large, b.path("x.png"))
	refuse(t, []string{"at step 0", "optim.lr is not the cause", "--init"}, b.train("other", "--init", large)...)
}
