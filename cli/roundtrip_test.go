package cli

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTrainEvalPredictExport(t *testing.T) {
	b := newWorkbench(t)
	out := succeed(t, b.train("run")...)
	for _, want := range []string{"accuracy ", "% on test, heads ", "subset", "memory ", "time ", "10 steps", b.path("run")} {
		if !strings.Contains(out, want) {
			t.Errorf("train: want %q in\n%s", want, out)
		}
	}
	for _, name := range []string{"config.yaml", "env.json", "metrics.jsonl", "last.safetensors", "summary.json"} {
		if _, err := os.Stat(filepath.Join(b.path("run"), name)); err != nil {
			t.Error(err)
		}
	}
	out = succeed(t, "eval", b.path("run"), "--data", b.data)
	for _, want := range []string{"16 test images of cifar10", "stem … layer1.0", "layer2.0", "layer3.0", "top-5"} {
		if !strings.Contains(out, want) {
			t.Errorf("eval: want %q in\n%s", want, out)
		}
	}

	picture := b.path("picture.png")
	drawPNG(t, picture, 50, 40)
	out = succeed(t, "predict", b.path("run"), picture, "--top", "2")
	if strings.Count(out, "%") != 2 || !strings.Contains(out, picture) || !strings.Contains(out, "module 3") {
		t.Errorf("predict printed %q", out)
	}
	if out = succeed(t, "predict", b.path("run"), picture, "--confidence", "0.01"); !strings.Contains(out, "module 1") {
		t.Errorf("predict --confidence 0.01 printed %q, want the first module's answer", out)
	}

	exported := b.path("plain.safetensors")
	succeed(t, "export", b.path("run"), exported)
	refuse(t, []string{exported, "--force"}, "export", b.path("run"), exported)
	succeed(t, "export", b.path("run/last.safetensors"), exported, "--force")
	if bytes.Contains(read(t, exported), []byte("heads.")) {
		t.Error("the exported file has local heads")
	}
	refuse(t, []string{exported, "--init"}, "eval", exported)
	// The exported weights are those of the run: one module that starts from them is as accurate as the last head.
	succeed(t, b.train("again", "--init", exported, "--steps", "0", "--set", "method.name=bp")...)
	last := evalJSON(t, b, "run")
	if got := evalJSON(t, b, "again"); got[len(got)-1]["top1"] != last[len(last)-1]["top1"] {
		t.Errorf("after export and --init accuracy is %v, was %v", got, last)
	}
}

func evalJSON(t *testing.T, b workbench, run string) []map[string]any {
	t.Helper()
	var e struct{ Modules []map[string]any }
	if err := json.Unmarshal([]byte(succeed(t, "eval", b.path(run), "--data", b.data, "--json")), &e); err != nil {
		t.Fatal(err)
	}
	return e.Modules
}

func TestPredictDoesTheImagesThatItCan(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "0")...)
	drawPNG(t, b.path("a.png"), 32, 32)
	write(t, b.path("bad.png"), []byte("not an image"))
	drawPNG(t, b.path("c.png"), 8, 99)
	r := locus(t.Context(), "predict", b.path("run"), b.path("a.png"), b.path("bad.png"), b.path("c.png"), b.path("none.png"))
	if r.code != 2 || strings.Count(r.err, "\n") != 2 || !strings.Contains(r.err, "bad.png") || !strings.Contains(r.err, "none.png") {
		t.Errorf("exit code %d, want 2 and both bad images named in\n%s", r.code, r.err)
	}
	if strings.Count(r.out, "\n") != 2 || !strings.Contains(r.out, "a.png") || !strings.Contains(r.out, "c.png") {
		t.Errorf("want the good images in\n%s", r.out)
	}
}

func drawPNG(t *testing.T, path string, w, h int) {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for x := range w {
		for y := range h {
			m.Set(x, y, color.RGBA{uint8(5 * x), uint8(3 * y), 90, 255})
		}
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, m); err != nil {
		t.Fatal(err)
	}
	write(t, path, buf.Bytes())
}

func TestTrainsOnGzippedIDX(t *testing.T) {
	dir := t.TempDir()
	for name, n := range map[string]int{"train": 16, "t10k": 8} {
		write(t, filepath.Join(dir, name+"-images-idx3-ubyte.gz"), idx(t, make([]byte, n*28*28), n, 28, 28))
		labels := make([]byte, n)
		for i := range labels {
			labels[i] = byte(i % 10)
		}
		write(t, filepath.Join(dir, name+"-labels-idx1-ubyte.gz"), idx(t, labels, n))
	}
	succeed(t, "train", "--data", dir, "--out", filepath.Join(dir, "run"), "--set", "data.set=mnist", "--set", "data.batch=8",
		"--set", "model.name=mlp", "--set", "model.width=8", "--set", "head.name=linear", "--steps", "2")
}

// idx returns a gzipped IDX file of unsigned bytes.
func idx(t *testing.T, values []byte, dims ...int) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	header := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		header = binary.BigEndian.AppendUint32(header, uint32(d))
	}
	z.Write(append(header, values...))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
