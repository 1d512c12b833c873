package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// few makes a run of two short epochs on a small machine.
var few = []string{"--set", "data.batch=4", "--set", "data.workers=1", "--set", "threads=1", "--epochs", "2"}

// From a run on other classes to one on photographs: network, size and normalisation are the checkpoint's, the classifier is
// fresh, and every flag is a key of the recipe that the run keeps.
func TestFinetuneFromARun(t *testing.T) {
	b, photos := newWorkbench(t), newPhotos(t)
	succeed(t, b.train("base", "--steps", "0", "--set", "method.name=bp")...)
	for _, from := range []string{"base", "base/last.safetensors"} {
		r := locus(t.Context(), append([]string{"finetune", photos, "--from", b.path(from), "--out", b.path("tuned"), "--force",
			"--freeze", "stem,layer1", "--layer-decay", "0.75", "--method", "sgr", "--head-warmup", "0.25", "--head-init", "means", "--patience", "4"}, few...)...)
		if r.code != 0 {
			t.Fatal(r.err)
		}
		for _, want := range []string{"taken  ", "resized    0\n", "fresh      4: fc.weight (2 classes, the file has 10)", "left over  "} {
			if !strings.Contains(r.err, want) {
				t.Errorf("want %q in\n%s", want, r.err)
			}
		}
	}
	config := string(read(t, b.path("tuned/config.yaml")))
	for _, want := range []string{"name: resnet32", "depth: 8", "width: 4", "freeze: [stem, layer1]", "layer_decay: 0.75", "head_warmup: 0.25", "head_init: means", "patience: 4", "size: 32", "name: sgr", "epochs: 2"} {
		if !strings.Contains(config, want) {
			t.Errorf("want %q in the run's recipe\n%s", want, config)
		}
	}
	if out := succeed(t, "eval", b.path("tuned"), "--data", photos); !strings.Contains(out, "test") {
		t.Error(out)
	}
	succeed(t, "export", b.path("tuned"), b.path("tuned.onnx"))
	again := succeed(t, "finetune", photos, "--resume", "--out", b.path("tuned"), "--epochs", "3")
	if !strings.Contains(again, "accuracy") {
		t.Error(again)
	}
}

// Values of the user's that nothing comes of are told, and none that the weights or the recipe underneath bring.
func TestFinetuneTellsOfIdleValues(t *testing.T) {
	b, photos := newWorkbench(t), newPhotos(t)
	succeed(t, b.train("base", "--steps", "0", "--set", "head.name=auglocal", "--set", "head.depth=1", "--set", "optim.nesterov=true")...)
	for out, tt := range map[string]struct{ sets, want []string }{
		"plain":  {nil, nil},
		"idle":   {[]string{"optim.name=adamw", "optim.momentum=0.5", "method.lambda=2"}, []string{"optim.momentum=0.5 has no effect here", "method.lambda=2 has no effect here"}},
		"active": {[]string{"optim.name=sgd", "optim.momentum=0.5", "method.name=sgr", "method.lambda=2", "head.name=conv"}, nil},
	} {
		args := append([]string{"finetune", photos, "--from", b.path("base"), "--out", b.path(out)}, few...)
		for _, set := range tt.sets {
			args = append(args, "--set", set)
		}
		r := locus(t.Context(), args...)
		if r.code != 0 {
			t.Fatal(r.err)
		}
		if n := strings.Count(r.err, "has no effect here") + strings.Count(r.err, "is not taken"); n != len(tt.want) {
			t.Errorf("%s: %d warnings, want %d:\n%s", out, n, len(tt.want), r.err)
		}
		for _, want := range tt.want {
			if !strings.Contains(r.err, want) {
				t.Errorf("%s: want %q in\n%s", out, want, r.err)
			}
		}
	}
}

func TestFinetuneRefuses(t *testing.T) {
	b, photos := newWorkbench(t), newPhotos(t)
	succeed(t, b.train("base", "--steps", "0", "--set", "method.name=bp")...)
	from := b.path("base/last.safetensors")
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"nothing to start from":       {nil, []string{"--from FILE", ".pth"}},
		"no such file":                {[]string{"--from", b.path("none.pth")}, []string{"none.pth"}},
		"weights without a name":      {[]string{"--from", "../torchfile/testdata/plain.pth"}, []string{"plain.pth", "--model"}},
		"another network":             {[]string{"--from", from, "--model", "resnet18"}, []string{"model.name is resnet18", "resnet32", "last.safetensors"}},
		"a part that is not":          {[]string{"--from", from, "--freeze", "layer9"}, []string{"tune.freeze", "layer9", "body, stem, layer1"}},
		"nothing that learns":         {[]string{"--from", from, "--freeze", "body,fc"}, []string{"tune.freeze", "must leave a part that learns"}},
		"no decay":                    {[]string{"--from", from, "--layer-decay", "0"}, []string{"tune.layer_decay", "0"}},
		"a method without sense":      {[]string{"--from", from, "--freeze", "stem", "--method", "fa"}, []string{"tune.freeze", "fa"}},
		"a diagnosis":                 {[]string{"--from", from, "--freeze", "stem", "--set", "diagnose.every=1"}, []string{"diagnose.every", "tune.freeze"}},
		"patience without images":     {[]string{"--from", from, "--patience", "2", "--set", "data.validation=0"}, []string{"eval.patience", "data.validation"}},
		"an unknown beginning":        {[]string{"--from", from, "--head-init", "best"}, []string{"tune.head_init", "fresh"}},
		"a drawn classifier for good": {[]string{"--from", from, "--freeze", "fc"}, []string{"tune.freeze", "head of module 1", "tune.head_init"}},
		"two beginnings":              {[]string{"--from", from, "--resume", "--out", b.path("base")}, []string{"--resume", "--from"}},
		"another freeze on resume":    {[]string{"--resume", "--out", b.path("tuned"), "--freeze", "layer1"}, []string{"tune.freeze", "must keep it"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"finetune", photos}, tt.args...)
			if strings.Contains(name, "resume") {
				succeed(t, append([]string{"finetune", photos, "--from", from, "--freeze", "stem", "--steps", "0", "--out", b.path("tuned")}, few...)...)
				refuse(t, tt.want, args...)
				return
			}
			if !strings.Contains(strings.Join(tt.args, " "), "--out") {
				args = append(args, "--out", b.path("x"))
			}
			refuse(t, tt.want, append(args, few...)...)
		})
	}
	refuse(t, []string{"nowhere"}, append([]string{"finetune", b.path("nowhere"), "--from", from, "--out", b.path("x")}, few...)...)
}

// As many classes of other names are other classes, and the classifier for them starts fresh; the same ones keep theirs.
func TestFinetuneOnAsManyOtherClasses(t *testing.T) {
	b, photos := newWorkbench(t), newPhotos(t)
	succeed(t, append([]string{"train", "finetune", "--data", photos, "--out", b.path("base"), "--set", "model.name=resnet32", "--set", "model.depth=8",
		"--set", "model.width=4", "--set", "data.size=32", "--set", "method.name=layerwise", "--steps", "1"}, few[:6]...)...)
	for _, tt := range []struct{ name, want string }{
		{"day", "fresh      0\n"},
		{"dawn", "fresh      4: fc.weight (the file has other classes); fc.bias (the file has other classes); heads.1 (a local head)"},
	} {
		name, want := tt.name, tt.want
		if name != "day" {
			for _, part := range []string{"train", "val"} {
				if err := os.Rename(filepath.Join(photos, part, "day"), filepath.Join(photos, part, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		r := locus(t.Context(), append([]string{"finetune", photos, "--from", b.path("base"), "--out", b.path(name), "--method", "layerwise", "--steps", "1"}, few...)...)
		if r.code != 0 || !strings.Contains(r.err, want) {
			t.Errorf("%s: code %d, want %q in\n%s", name, r.code, want, r.err)
		}
	}
}

// A beginning for heads needs weights, labels, and heads that end in a linear layer.
func TestHeadInitRefuses(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("base", "--steps", "0", "--set", "method.name=bp")...)
	refuse(t, []string{"tune.head_init", "--init"}, b.train("a", "--set", "tune.head_init=means")...)
	refuse(t, []string{"tune.head_init", "barlow", "labels"}, b.train("a", "--init", b.path("base/last.safetensors"), "--set", "tune.head_init=probe",
		"--set", "method.name=barlow", "--set", "data.augment=barlow", "--set", "head.widths=8,8")...)
}
