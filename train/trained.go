package train

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
)

// Trained is a model read back from a checkpoint, for inference.
type Trained struct {
	*Model
	Path    string
	Classes []string
	set     dataset
}

// Open reads a checkpoint: a safetensors file of ours, or a run folder, which stands for its last one. Assignments key=value
// override keys of its recipe. The model is on the recipe's device; on the CPU where this machine does not have that one,
// unless an assignment names it. The caller frees the model.
func Open(path string, sets ...string) (*Trained, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, lastFile)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	meta := f.Metadata()
	if meta[metaRecipe] == "" && meta[metaDataset] != "" {
		return nil, fault.New("%s was trained by a program of its own: no recipe names its network; start from it with train --init, or read it there", path)
	}
	if meta[metaRecipe] == "" {
		return nil, fault.New("%s is not a checkpoint of locus: its metadata has no %s; start from it with train --init", path, metaRecipe)
	}
	t := &Trained{Path: path}
	var input nn.Shape
	for key, v := range map[string]any{metaInput: &input, metaClasses: &t.Classes, metaDataset: &t.set} {
		if err := json.Unmarshal([]byte(meta[key]), v); err != nil {
			return nil, fault.New("%s: its metadata %s cannot be read: %w", path, key, err)
		}
	}
	c, _, err := resolve(recipe.Source{Path: path, Doc: []byte(meta[metaRecipe])}, nil)
	if err != nil {
		return nil, err
	}
	if c.Device.Available() != nil {
		c.Device = torch.CPU
	}
	for _, s := range sets {
		if err := recipe.Set(&c, s); err != nil {
			return nil, err
		}
	}
	if t.Model, err = NewModel(c, model.Input{Shape: input, Classes: len(t.Classes)}, true); err != nil {
		return nil, err
	}
	for _, p := range t.Params() {
		if err := fetch(f, path, p.Name, p.Value); err != nil {
			t.Free()
			return nil, err
		}
	}
	return t, nil
}

// Split names a part of a data set.
type Split string

// The parts that a model can be evaluated on.
const (
	Test       Split = "test"
	Validation Split = "validation"
)

// Evaluation is how well every head of a model does on a part of a set.
type Evaluation struct {
	Set    string
	Subset bool // the set has fewer images than the official one
	Images int
	Heads  []Accuracy
}

// Evaluate measures every head on a part of the set that the model was trained on, or, where heads give no answers, the
// features of every module by their neighbours; dir is where to look for it first,
// and may be empty. notice gets the set's warnings.
func (t *Trained) Evaluate(ctx context.Context, part Split, dir string, notice func(string)) (Evaluation, error) {
	set, err := data.Open(t.Config.Data, t.Config.Seed, dirs(dir))
	if err != nil {
		return Evaluation{}, err
	}
	info := set.Info()
	for _, line := range info.Notes {
		notice(line)
	}
	data.OnBroken(set, notice)
	if len(info.Classes) != len(t.Classes) {
		return Evaluation{}, fault.New("%s has %d classes: %s was trained on %d", info.Dir, len(info.Classes), t.Path, len(t.Classes))
	}
	for i, class := range info.Classes {
		if info.Own && class != t.Classes[i] {
			return Evaluation{}, fault.New("class %d of %s is %s: %s was trained with %s", i, info.Dir, show.Name(class), t.Path, show.Name(t.Classes[i]))
		}
	}
	images := set.Part(data.Test)
	if part == Validation {
		if images = set.Part(data.Validation); images.Len() == 0 {
			return Evaluation{}, fault.New("%s was trained without data.validation: it can be evaluated on test only", t.Path)
		}
	}
	heads, err := t.measure(ctx, set, images, t.set.Mean, t.set.Std)
	return Evaluation{info.Name, info.Subset, images.Len(), heads}, err
}

// Export writes the uncut network as a plain PyTorch state dict: local heads are left out, and so is the projector that stands
// in the classifier's place where training used no labels.
func (t *Trained) Export(path string) error {
	params := t.Net.Params()
	if t.Views() > 1 {
		params = slices.DeleteFunc(params, func(p *nn.Param) bool { return isLocal(p.Name) })
	}
	return safetensors.Write(path, weights(params), map[string]string{"format": "pt"})
}
