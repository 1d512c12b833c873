package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
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

// A parameter that the type cannot hold is named, and no file is written: it would be infinite.
func TestExportOfLargeParameters(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "0")...)
	checkpoint := b.path("run/last.safetensors")
	set := func(value float32) {
		content := read(t, checkpoint)
		header := binary.LittleEndian.Uint64(content)
		var tensors map[string]struct {
			Offsets []int `json:"data_offsets"`
		}
		if err := json.Unmarshal(content[8:8+header], &tensors); err != nil {
			t.Fatal(err)
		}
		at := 8 + int(header) + tensors["layer2.0.bn1.running_var"].Offsets[0]
		binary.LittleEndian.PutUint32(content[at+4:], math.Float32bits(value))
		write(t, checkpoint, content)
	}
	for _, c := range []struct {
		value float32
		dtype string
		holds bool
	}{
		{65519, "fp16", true}, {65520, "fp16", false}, {1e9, "fp16", false}, {1e9, "bf16", true}, {3.39e38, "bf16", true}, {math.MaxFloat32, "bf16", false}, {math.MaxFloat32, "fp32", true},
	} {
		set(c.value)
		for _, name := range []string{"a.safetensors", "a.onnx", "a.pt"} {
			args := []string{"export", b.path("run"), b.path(name), "--dtype", c.dtype}
			if c.holds {
				succeed(t, args...)
				remove(t, b.path(name))
				remove(t, b.path(name+".md"))
				continue
			}
			refuse(t, []string{"layer2.0.bn1.running_var is", "at element 1, more than --dtype " + c.dtype + " holds"}, args...)
			if _, err := os.Stat(b.path(name)); err == nil {
				t.Errorf("%s was written", name)
			}
		}
	}
}
