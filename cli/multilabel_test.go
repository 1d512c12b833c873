package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/serve"
	"github.com/locus-learn/locus/train"
)

// newLabelled writes photographs that may have a red, a green and a blue corner, in tables that name which, 48 to train on and 16 to
// test, and returns their folder. No image is without a picture of its own: the rest of it is noise.
func newLabelled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for part, n := range map[string]int{"train": 48, "val": 16} {
		table := "path,labels\n"
		for i := range n {
			m := image.NewNRGBA(image.Rect(0, 0, 32, 32))
			for y := range 32 {
				for x := range 32 {
					noise := byte(40 + (x*7+y*13+i*29)%17)
					m.SetNRGBA(x, y, color.NRGBA{noise, noise, noise, 255})
				}
			}
			var names []string
			for k, name := range []string{"red", "green", "blue"} {
				if i>>k&1 == 0 {
					continue
				}
				names = append(names, name)
				c := color.NRGBA{A: 255}
				*[]*uint8{&c.R, &c.G, &c.B}[k] = 255
				for at := range 16 * 16 {
					m.SetNRGBA(16*(k%2)+at%16, 16*(k/2)+at/16, c)
				}
			}
			var content bytes.Buffer
			if err := png.Encode(&content, m); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%s-%02d.png", part, i)
			write(t, filepath.Join(dir, name), content.Bytes())
			table += fmt.Sprintf("%s,%s\n", name, strings.Join(names, ";"))
		}
		write(t, filepath.Join(dir, part+".csv"), []byte(table))
	}
	return dir
}

// severalOf is the command line that trains on such photographs.
func severalOf(dir, out string, more ...string) []string {
	return append([]string{"train", "cifar10-resnet32-layerwise-k3", "--data", dir, "--out", out, "--set", "threads=1", "--set", "data.workers=1",
		"--set", "data.set=csv", "--set", "data.size=16", "--set", "data.batch=8", "--set", "model.width=8", "--set", "model.depth=8",
		"--set", "data.augment=none", "--set", "optim.lr=0.1", "--set", "loss.name=bce", "--set", "head.name=linear"}, more...)
}

// From tables of several labels to predictions: a check counts positives, training learns them and keeps the weights that are best
// by mean average precision, a run that stops goes on bit for bit, and everything that reads the run knows what it is.
func TestSeveralLabels(t *testing.T) {
	dir, out := newLabelled(t), t.TempDir()
	check := succeed(t, "data", "check", "csv", "--data", dir)
	for _, want := range []string{"is complete: 48 of 48 training and 16 of 16 test images", "none: 6 training and 2 test images", "| red   |       24 |    8 |"} {
		if !strings.Contains(check, want) {
			t.Errorf("want %q in\n%s", want, check)
		}
	}
	run := filepath.Join(out, "run")
	args := severalOf(dir, run, "--set", "schedule.epochs=12", "--set", "data.validation=0.2", "--set", "data.stratify=true")
	r := locus(t.Context(), args...)
	if r.code != 0 {
		t.Fatal(r.err)
	}
	if !strings.Contains(r.out, "mAP ") || !strings.Contains(r.err, "test mAP") || !strings.Contains(string(read(t, filepath.Join(run, "plots", "accuracy.svg"))), "mAP (%)") {
		t.Errorf("what is measured is not named in\n%s%s", r.out, r.err)
	}
	var summary struct {
		Measure string
		TestAcc float64              `json:"test_acc"`
		Scores  map[string][]float64 `json:"scores"`
	}
	if err := json.Unmarshal(read(t, filepath.Join(run, "summary.json")), &summary); err != nil {
		t.Fatal(err)
	}
	if summary.Measure != "mAP" || summary.TestAcc < 95 || len(summary.Scores["f1"]) != 3 || summary.Scores["f1"][2] < 80 {
		t.Errorf("%+v", summary)
	}
	var e struct {
		MultiLabel bool `json:"multi_label"`
		Modules    []struct {
			Top1   *float64
			Scores map[string]float64
		}
	}
	if err := json.Unmarshal([]byte(succeed(t, "eval", run, "--data", dir, "--json")), &e); err != nil {
		t.Fatal(err)
	}
	if last := e.Modules[2]; !e.MultiLabel || last.Top1 != nil || last.Scores["map"] != summary.TestAcc || last.Scores["f1"] != summary.Scores["f1"][2] {
		t.Errorf("evaluation %+v, summary %+v", e, summary)
	}
	if text := succeed(t, "eval", filepath.Join(run, "best.safetensors"), "--on", "validation", "--data", dir); !strings.Contains(text, "mAP, %") || !strings.Contains(text, "F1, %") {
		t.Errorf("got\n%s", text)
	}

	report := filepath.Join(out, "report")
	succeed(t, "eval", run, "--data", dir, "--report", report)
	heads := string(read(t, filepath.Join(report, "heads.csv")))
	if lines := strings.Split(heads, "\n"); !strings.HasPrefix(lines[0], "module,blocks,map,f1,f1_micro") || !strings.Contains(lines[3], fmt.Sprintf(",%g,", summary.TestAcc)) {
		t.Errorf("the report has %s, the summary %g", heads, summary.TestAcc)
	}
	if classes := string(read(t, filepath.Join(report, "classes.csv"))); !strings.Contains(classes, "red,8,16,") {
		t.Errorf("classes\n%s", classes)
	}

	var predictions []prediction
	text := succeed(t, "predict", run, filepath.Join(dir, "val-00.png"), filepath.Join(dir, "val-07.png"), "--json")
	if err := json.Unmarshal([]byte(text), &predictions); err != nil || len(predictions) != 2 {
		t.Fatalf("%v in\n%s", err, text)
	}
	for i, p := range predictions { // of no colour, and of all three
		for _, c := range p.Classes {
			if has := c.Probability > 0.5; has != (i == 1) {
				t.Errorf("image %d has %s with probability %g", i, c.Class, c.Probability)
			}
		}
	}
	served(t, run, filepath.Join(dir, "val-07.png"))
	exported := filepath.Join(out, "several.onnx")
	succeed(t, "export", run, exported)
	if card := string(read(t, exported+".md")); !strings.Contains(card, "the sigmoid of each makes a probability of it") || !strings.Contains(card, "mAP ") {
		t.Errorf("the card says\n%s", card)
	}
	if !bytes.Contains(read(t, exported), []byte("locus.multi_label")) {
		t.Error("the file does not say that an image has any number of classes")
	}
	tuned := filepath.Join(out, "tuned")
	tune := []string{"finetune", dir, "--from", run, "--out", tuned, "--method", "layerwise", "--epochs", "1", "--set", "data.set=csv", "--set", "data.batch=8",
		"--set", "loss.name=bce", "--set", "loss.class_weights=balanced", "--set", "threads=1", "--set", "data.augment=none"}
	succeed(t, tune...)
	refuse(t, []string{"tune.head_init is means", "fresh or probe"}, append(tune, "--force", "--head-init", "means")...)
}

// served asks a server about an image that has all classes.
func served(t *testing.T, run, image string) {
	t.Helper()
	network, err := train.Open(run)
	if err != nil {
		t.Fatal(err)
	}
	defer network.Free()
	s, err := serve.New(network, network.Config.Serve)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/predict", bytes.NewReader(read(t, image))))
	var answer struct {
		Predictions []struct {
			Classes []struct {
				Class       string
				Probability float64
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 || len(answer.Predictions) != 1 || len(answer.Predictions[0].Classes) != 3 {
		t.Fatalf("code %d, %v: %s", w.Code, err, w.Body)
	}
	for _, c := range answer.Predictions[0].Classes {
		if c.Probability < 0.5 {
			t.Errorf("the server gives %s a probability of %g", c.Class, c.Probability)
		}
	}
}

// Rates are tried, and plans made, for this loss as for others.
func TestSeveralLabelsArePlanned(t *testing.T) {
	dir, out := newLabelled(t), t.TempDir()
	find := severalOf(dir, filepath.Join(out, "rates"), "--steps", "12")
	find[0] = "lr-find"
	if text := succeed(t, find...); !strings.Contains(text, "lr-find") {
		t.Error(text)
	}
	succeed(t, "plan", "--model", "resnet32", "--image", "16", "--batch", "8", "--modules", "3", "--set", "loss.name=bce", "--set", "loss.class_weights=balanced", "--set", "model.depth=8", "--set", "model.width=4", "--set", "threads=1")
}

// A probe gives new heads a start from which they tell classes, where drawn ones do not.
func TestProbeOfSeveralLabels(t *testing.T) {
	b, dir := newWorkbench(t), newLabelled(t)
	succeed(t, b.train("base", "--steps", "0", "--set", "method.name=bp")...)
	score := func(init string) float64 {
		out := b.path(init)
		succeed(t, "finetune", dir, "--from", b.path("base"), "--out", out, "--freeze", "body", "--head-init", init, "--epochs", "1", "--steps", "1",
			"--set", "optim.lr=1e-9", "--set", "data.set=csv", "--set", "data.batch=8", "--set", "loss.name=bce", "--set", "threads=1", "--set", "data.augment=none")
		var summary struct {
			Scores map[string][]float64 `json:"scores"`
		}
		if err := json.Unmarshal(read(t, filepath.Join(out, "summary.json")), &summary); err != nil {
			t.Fatal(err)
		}
		return summary.Scores["f1"][0]
	}
	if probe := score("probe"); probe < 80 {
		t.Errorf("a probe has an F1 of %.1f %%", probe)
	}
}

// A run that stops goes on with the same bits, and not with other labels.
func TestSeveralLabelsResume(t *testing.T) {
	dir, out := newLabelled(t), t.TempDir()
	whole, parts := filepath.Join(out, "whole"), filepath.Join(out, "parts")
	sets := []string{"--set", "method.name=sgr", "--set", "data.augment=crop-flip", "--set", "schedule.epochs=2", "--set", "schedule.name=constant", "--set", "schedule.warmup=0",
		"--set", "loss.class_weights=balanced"}
	succeed(t, severalOf(dir, whole, append(sets, "--steps", "10")...)...)
	succeed(t, severalOf(dir, parts, append(sets, "--steps", "4")...)...)
	succeed(t, "train", "--resume", "--out", parts, "--data", dir, "--steps", "10")
	if !bytes.Equal(read(t, filepath.Join(whole, "last.safetensors")), read(t, filepath.Join(parts, "last.safetensors"))) {
		t.Error("a run that stopped has other weights in the end")
	}
	table := filepath.Join(dir, "train.csv")
	write(t, table, bytes.Replace(read(t, table), []byte("train-00.png,\n"), []byte("train-00.png,red\n"), 1))
	refuse(t, []string{"training samples"}, "train", "--resume", "--out", parts, "--data", dir, "--steps", "12")
}

// Every method that learns by the losses of its heads takes several labels, in lock-step, as a pipeline and as a stream, with
// cuts that are chosen by measuring, and in bfloat16.
func TestMethodsOfSeveralLabels(t *testing.T) {
	dir, out := newLabelled(t), t.TempDir()
	for i, sets := range [][]string{
		{"method.name=bp"}, {"method.name=sgr"}, {"method.name=sgr", "method.gradient=shifted"}, {"method.name=greedy"}, {"method.name=dgl"}, {"method.name=fa"},
		{"method.name=infopro", "head.name=infopro"}, {"method.name=layerwise", "method.pipeline=2"}, {"method.name=sgr", "method.resident=1"},
		{"method.name=sgr", "method.cuts=auto"}, {"method.name=sgr", "precision=bf16"}, {"method.name=bp", "method.label_smoothing=0.1", "optim.ema=0.9"},
	} {
		args := severalOf(dir, filepath.Join(out, fmt.Sprint(i)), "--steps", "2")
		for _, s := range sets {
			args = append(args, "--set", s)
		}
		if r := locus(t.Context(), args...); r.code != 0 {
			t.Errorf("%v: %s", sets, r.err)
		}
	}
}

// What needs one class an image is refused in one line, and so is this loss where images have one.
func TestSeveralLabelsRefused(t *testing.T) {
	dir, photos := newLabelled(t), newPhotos(t)
	out := filepath.Join(t.TempDir(), "run")
	for _, c := range []struct {
		sets []string
		want []string
	}{
		{[]string{"loss.name=cross-entropy"}, []string{"loss.name is cross-entropy: must be bce"}},
		{[]string{"loss.name=focal"}, []string{"loss.name is focal: must be bce"}},
		{[]string{"data.mixup=0.2"}, []string{"data.mixup is 0.2", "any number of classes"}},
		{[]string{"data.balanced=true"}, []string{"data.balanced is true", "loss.class_weights=balanced"}},
		{[]string{"diagnose.every=5"}, []string{"diagnose.every is 5", "bce"}},
		{[]string{"loss.class_weights=1,2"}, []string{"loss.class_weights has 2 values", "3 numbers"}},
		{[]string{"method.name=infopro-contrast", "head.name=contrast"}, []string{"loss.name is bce", "infopro-contrast", "fits bp, layerwise, sgr"}},
		{[]string{"method.name=dfa", "model.name=conv32", "model.depth=0"}, []string{"loss.name is bce", "dfa", "fits bp, layerwise, sgr"}},
		{[]string{"method.name=etf", "model.name=conv32", "model.depth=0"}, []string{"loss.name is bce", "etf"}},
		{[]string{"method.name=barlow", "data.augment=crop-flip"}, []string{"loss.name is bce", "barlow"}},
	} {
		args := severalOf(dir, out)
		for _, s := range c.sets {
			args = append(args, "--set", s)
		}
		refuse(t, c.want, args...)
	}
	refuse(t, []string{"loss.name is bce: must be cross-entropy or focal", "path,labels"}, append(severalOf(photos, out), "--set", "data.set=folder", "--set", "data.batch=4")...)
	if _, err := os.Stat(filepath.Join(out, "last.safetensors")); err == nil {
		t.Error("a refused run has left weights")
	}
}
