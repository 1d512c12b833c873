package train

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/record"
)

// CardSuffix is what a model card's name has behind that of its file.
const CardSuffix = ".md"

// card says in words what an exported file holds, how it came about, and how it is used.
func (t *Trained) card(path, format string, o ExportOptions) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	c, in, name := t.Config, t.Net.Input, filepath.Base(path)
	line("# %s\n", show.Name(name))
	what := "the whole network"
	if o.Exit > 0 {
		what = fmt.Sprintf("the network up to module %d of %d, with its local head", o.Exit, len(t.Modules()))
	}
	line("A network `%s` for classifying images: %s. Written by Locus from `%s`.\n", t.Net.Name, what, show.Name(t.Path))
	line("| | |\n|---|---|")
	line("| input | `[N, %d, %d, %d]`, float32, RGB or grey |", in.C, in.H, in.W)
	if len(t.set.Mean) > 0 {
		line("| pixels | from 0 to 1, minus mean %v, divided by deviation %v |", t.set.Mean, t.set.Std)
	}
	line("| output | `[N, %d]`: logits, one a class; %s |", t.Net.Classes, map[bool]string{true: "an image has any number of classes, and the sigmoid of each makes a probability of it",
		false: "softmax makes probabilities of them"}[t.Rule.MultiLabel])
	line("| parameters | stored as %v |", o.DType)
	line("| trained on | %s%s |", show.Name(t.set.Name), map[bool]string{true: ", a subset of it"}[t.set.Subset])
	line("| method | %s, %d modules, optimizer %s, %d epochs, seed %d |", c.Method.Name, len(t.Modules()), c.Optim.Name, c.Schedule.Epochs, c.Seed)
	if text := t.accuracy(o.Exit); text != "" {
		line("| accuracy | %s |", text)
	}
	line("\n## Classes\n")
	for i, class := range t.Classes {
		line("%d. %s", i, show.Name(class))
	}
	line("\n## Use\n")
	line("%s", usage(format, name))
	line("## Limits\n")
	line("It was measured on the images above and on no others. Nothing is known of how it does on images of another kind,\n" +
		"or of how its mistakes are spread over groups of people, where it is about people.")
	return b.String()
}

// accuracy is that of the run which the weights are the last of, in words; "" where it is not known.
func (t *Trained) accuracy(exit int) string {
	text, err := disk.ReadFile(filepath.Join(filepath.Dir(t.Path), summaryFile))
	var s record.Summary
	if !t.Own || filepath.Base(t.Path) != lastFile || err != nil || json.Unmarshal(text, &s) != nil || len(s.ModuleAcc) == 0 {
		return ""
	}
	acc := s.ModuleAcc[len(s.ModuleAcc)-1]
	if exit > 0 && exit <= len(s.ModuleAcc) {
		acc = s.ModuleAcc[exit-1]
	}
	measure := ""
	if s.Measure != "" {
		measure = s.Measure + " "
	}
	return fmt.Sprintf("%s%.2f %% on the test images, after %d steps", measure, acc, s.Steps)
}

// usage is an example in Python, which is what most readers of such files have.
func usage(format, name string) string {
	code := map[string]string{
		".safetensors": "import safetensors.torch\nmodel.load_state_dict(safetensors.torch.load_file(%q))  # a model of the same architecture",
		".onnx":        "import onnxruntime\nsession = onnxruntime.InferenceSession(%q)\nlogits = session.run(None, {\"input\": images})[0]",
		".pt":          "import torch\nmodel = torch.jit.load(%q)\nlogits = model(images)",
	}[format]
	return "```python\n" + fmt.Sprintf(code, name) + "\n```\n"
}
