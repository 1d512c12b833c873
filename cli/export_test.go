package cli

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/safetensors"
)

func TestExportForOtherPrograms(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "5")...)
	for _, name := range []string{"a.onnx", "a.pt", "a.safetensors"} {
		full, half := b.path(name), b.path("half-"+name)
		succeed(t, "export", b.path("run"), full)
		succeed(t, "export", b.path("run"), half, "--dtype", "fp16", "--exit", "1")
		if len(read(t, half)) >= len(read(t, full)) {
			t.Errorf("%s: a third of the network in half the type is no smaller", name)
		}
		content := read(t, full)
		if name == "a.pt" { // compressed, perhaps: what it says is in the card
			continue
		}
		for _, want := range []string{"airplane", "locus.mean", "locus.net", "resnet32"} {
			if !bytes.Contains(content, []byte(want)) {
				t.Errorf("%s lacks %s in its metadata", name, want)
			}
		}
	}
	card := string(read(t, b.path("half-a.onnx.md")))
	for _, want := range []string{"module 1 of 3", "[N, 3, 32, 32]", "float16", "airplane", "cifar10, a subset", "sgr", "onnxruntime", "% on the test images"} {
		if !strings.Contains(card, want) {
			t.Errorf("the card lacks %q in\n%s", want, card)
		}
	}
	f, err := safetensors.Open(b.path("half-a.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range f.Names() {
		if info, _ := f.Info(name); info.DType != safetensors.F16 && info.DType != safetensors.I64 {
			t.Errorf("%s is stored as %s", name, info.DType)
		}
		if strings.HasPrefix(name, "layer3") || strings.HasPrefix(name, "fc") {
			t.Errorf("%s is behind the exit", name)
		}
	}
}

func TestExportRefuses(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "0")...)
	for _, c := range []struct{ want, args []string }{
		{[]string{"x.bin", ".bin", ".onnx"}, []string{b.path("x.bin")}},
		{[]string{"ends in \"\"", ".safetensors"}, []string{b.path("x")}},
		{[]string{"--exit", "4", "1 to 3"}, []string{b.path("x.onnx"), "--exit", "4"}},
		{[]string{"--exit", "-1"}, []string{b.path("x.pt"), "--exit", "-1"}},
		{[]string{"--dtype", "int8", "fp16"}, []string{b.path("x.pt"), "--dtype", "int8"}},
		{[]string{"none", "x.pt"}, []string{filepath.Join(b.path("none"), "x.pt")}},
		{[]string{"none", "x.onnx"}, []string{filepath.Join(b.path("none"), "x.onnx")}},
	} {
		refuse(t, c.want, append([]string{"export", b.path("run")}, c.args...)...)
	}
	write(t, b.path("y.onnx.md"), []byte("mine"))
	refuse(t, []string{"y.onnx.md", "--force"}, "export", b.path("run"), b.path("y.onnx"))
}
