package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/runfolder"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/recipe"
)

// Trained is a model read back from a checkpoint, for inference.
type Trained struct {
	*Model
	Path    string
	Classes []string
	Own     bool // the file is a run's own, in its folder; otherwise its recipe decides nothing but network and images' form

	set dataset
	dir string // data.dir that is not believed

	mu  sync.Mutex
	own *Classifier // of Classify; nil before its first call

	file *model.Weights // of which modules are read when they are needed; nil where all are in memory
}

// Open reads a checkpoint: a safetensors file of ours, or a run folder, which stands for its last one. Assignments key=value
// override keys of its recipe. The caller frees the model.
//
// A file in its run folder is believed what its recipe says of device, threads and data; the model is on the CPU where this
// machine does not have that device, unless an assignment names it. Of a file from elsewhere only the network, its method
// and how images are prepared for it are taken: it may come from anybody. Either way the file's tensors are compared with
// the network before that is allocated.
func Open(path string, sets ...string) (*Trained, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, lastFile)
	}
	w, err := model.OpenWeights(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if w != nil {
			w.Close()
		}
	}()
	t := &Trained{Path: path, Own: runfolder.Wrote(filepath.Dir(path), filepath.Base(path))}
	input, c, err := t.describe(w.Metadata())
	if err != nil {
		return nil, err
	}
	for _, s := range sets {
		if err := recipe.Set(&c, s); err != nil {
			return nil, err
		}
	}
	t.Model, err = loadModel(c, model.Input{Shape: input, Classes: len(t.Classes), MultiLabel: t.set.MultiLabel}, true, w)
	if err != nil {
		return nil, err
	}
	if !t.Streams() {
		return t, nil
	}
	if err = t.Begin(reader{w}, nil); err != nil {
		t.Model.Free()
		return nil, err
	}
	t.file, w = w, nil
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
	Dir    string // where the set lies; "" if in no folder
	Subset bool   // the set has fewer images than the official one
	Images int
	Heads  []Accuracy
}

// Evaluate measures every head on a part of the set that the model was trained on, or, where heads give no answers, the
// features of every module by their neighbours; dir is where to look for it first,
// and may be empty. notice gets the set's warnings.
func (t *Trained) Evaluate(ctx context.Context, part Split, dir string, notice func(string)) (Evaluation, error) {
	set, images, err := t.open(part, dir, notice)
	if err != nil {
		return Evaluation{}, err
	}
	heads, err := t.measure(ctx, set, images, t.set.Mean, t.set.Std)
	if err == nil {
		err = t.finite(heads)
	}
	return evaluation(set, images, heads), err
}

// finite returns a fault that names the file, if answers of the model are not finite.
func (t *Trained) finite(heads []Accuracy) error {
	if err := t.overflowed(heads); err != nil {
		return fault.New("%s: %w", show.Name(t.Path), err)
	}
	return nil
}

func evaluation(set data.Source, images data.Samples, heads []Accuracy) Evaluation {
	info := set.Info()
	return Evaluation{info.Name, info.Dir, info.Subset, images.Len(), heads}
}

// open opens the set that the model was trained on, and returns the samples of a part. They must be as the model knows them.
func (t *Trained) open(part Split, dir string, notice func(string)) (data.Source, data.Samples, error) {
	o := t.Config.Data
	o.Batch = 1 // that of training may be more than there are training images here
	if _, err := data.Lookup(o.Set); err != nil {
		return nil, nil, fault.New("%s was trained on data of a program's own, %s: it can be evaluated there, by train.Evaluate",
			show.Name(t.Path), show.Name(o.Set))
	}
	set, err := data.Open(o, t.Config.Seed, dirs(dir))
	if err != nil {
		return nil, nil, err
	}
	info := set.Info()
	if t.dir != "" && dir == "" {
		notice(fmt.Sprintf("%s is not in its run folder, and its data.dir %q is not looked into: using %s; --data names another folder",
			show.Name(t.Path), t.dir, show.Name(info.Dir)))
	}
	for _, line := range info.Notes {
		notice(line)
	}
	data.OnBroken(set, notice)
	if info.MultiLabel != t.set.MultiLabel {
		several := map[bool]string{true: "any number of classes", false: "one class"}
		return nil, nil, fault.New("the images of %s have %s: %s was trained on images with %s", show.Name(info.Dir), several[info.MultiLabel], show.Name(t.Path), several[t.set.MultiLabel])
	}
	if len(info.Classes) != len(t.Classes) {
		return nil, nil, fault.New("%s has %d classes: %s was trained on %d", info.Dir, len(info.Classes), t.Path, len(t.Classes))
	}
	for i, class := range info.Classes {
		if info.Own && class != t.Classes[i] {
			return nil, nil, fault.New("class %d of %s is %s: %s was trained with %s", i, info.Dir, show.Name(class), t.Path, show.Name(t.Classes[i]))
		}
	}
	if want, has := t.Net.Input, inputOf(info).Shape; want.C != has.C || want.H != has.H || want.W != has.W {
		return nil, nil, fault.New("%s has samples of %d×%d×%d: %s was trained on %d×%d×%d",
			show.Name(info.Name), has.C, has.H, has.W, show.Name(t.Path), want.C, want.H, want.W)
	}
	if part == Validation || o.Test > 0 {
		now, then := data.FingerprintOf(set).WithoutSizes(), t.set.Data.WithoutSizes()
		if o.Test == 0 {
			then.Test = "" // is not drawn, and may be another
		}
		if other := now.Differ(then); other != "" {
			return nil, nil, fault.New("the %s in %s are not those that %s was trained with, so that others would be held out, some of which it has learned: --data names the folder of the old ones",
				other, show.Name(info.Dir), show.Name(t.Path))
		}
	}
	images := set.Part(data.Test)
	if part == Validation {
		if images = set.Part(data.Validation); images.Len() == 0 {
			return nil, nil, fault.New("%s was trained without data.validation: it can be evaluated on test only", t.Path)
		}
	}
	return set, images, nil
}
