package train

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// describe reads what a checkpoint says of itself: its classes and set into t, and returns the network's input and the
// recipe, as far as the file is believed.
func (t *Trained) describe(meta map[string]string) (input nn.Shape, c Config, err error) {
	switch {
	case meta[metaRecipe] == "" && meta[metaDataset] != "":
		return input, c, fault.New("%s was trained by a program of its own: no recipe names its network; start from it with train --init, or read it there",
			show.Name(t.Path))
	case meta[metaRecipe] == "":
		return input, c, fault.New("%s is not a checkpoint of locus: its metadata has no %s; start from it with train --init",
			show.Name(t.Path), metaRecipe)
	}
	for key, v := range map[string]any{metaInput: &input, metaClasses: &t.Classes, metaDataset: &t.set} {
		if err := json.Unmarshal([]byte(meta[key]), v); err != nil {
			return input, c, fault.New("%s: its metadata %s cannot be read: %w", show.Name(t.Path), key, err)
		}
	}
	if err := t.possible(input); err != nil {
		return input, c, fault.New("%s: its metadata %w", show.Name(t.Path), err)
	}
	if c, err = trainedBy(show.Name(t.Path), []byte(meta[metaRecipe])); err != nil {
		return input, c, err
	}
	if !t.Own {
		t.dir = c.Data.Dir
		c = c.foreign(input)
	}
	if c.Device.Available() != nil {
		c.Device = torch.CPU
	}
	return input, c, nil
}

// mostValues bounds the values of one sample.
const mostValues = 1 << 28

// possible returns an error that goes on after "its metadata" where a model cannot be what is said of it.
func (t *Trained) possible(in nn.Shape) error {
	values := 1
	for _, n := range []int{in.C, max(1, in.H), max(1, in.W), max(1, in.Tokens)} {
		if n < 1 || n > mostValues/values {
			return fmt.Errorf("%s is %v: must be a sample of at least 1 and at most %d values", metaInput, in, mostValues)
		}
		values *= n
	}
	if in.H < 0 || in.W < 0 || in.Tokens < 0 {
		return fmt.Errorf("%s is %v: no side may be negative", metaInput, in)
	}
	if len(t.Classes) == 0 {
		return fmt.Errorf("%s names none: must name at least one class", metaClasses)
	}
	for _, list := range [][]float64{t.set.Mean, t.set.Std} {
		if len(list) != len(t.set.Mean) || len(list) != 0 && len(list) != in.C {
			return fmt.Errorf("%s has means %v and deviations %v: must have one for each of %d channels", metaDataset, t.set.Mean, t.set.Std, in.C)
		}
	}
	for i, std := range t.set.Std {
		if mean := t.set.Mean[i]; !(std >= 1e-6 && std <= 1e6 && math.Abs(mean) <= 1e6) {
			return fmt.Errorf("%s has mean %g and deviation %g: images cannot be normalised by them", metaDataset, mean, std)
		}
	}
	return nil
}

// batchBytes is what a batch of images may take in the evaluation of a network from elsewhere.
const batchBytes = 64 << 20

// foreign is what is taken from the recipe in a checkpoint that is not a run's own: the network, what was trained how, and
// how images are prepared for it. Where data lies, and what a machine is made to do, is the user's to say.
func (c Config) foreign(in nn.Shape) Config {
	own := Defaults()
	kept := own
	kept.Name, kept.Seed, kept.Precision, kept.Model, kept.Method, kept.Head = c.Name, c.Seed, c.Precision, c.Model, c.Method, c.Head
	m := &kept.Method // but for how the machine was made to train it
	m.Pipeline, m.Resident, m.Visit = own.Method.Pipeline, own.Method.Resident, own.Method.Visit
	m.Spill, m.Signals = own.Method.Spill, own.Method.Signals
	kept.Data = c.Data
	kept.Data.Dir, kept.Data.Workers, kept.Data.Broken = own.Data.Dir, own.Data.Workers, own.Data.Broken
	sample := 4 * in.C * max(1, in.H) * max(1, in.W)
	kept.Data.Batch = max(1, min(c.Data.Batch, own.Data.Batch, batchBytes/sample))
	return kept
}
