package train

import (
	"cmp"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/recipe"
)

// ownRecipe is what of c a run of this model and data goes by: how to train. The rest is what model and data are.
func ownRecipe(c Config, m *model.Model, info data.Info) (Config, error) {
	if info.Name != c.Data.Set {
		c.Data = ownData(c.Data, info.Name)
	}
	c.Name = cmp.Or(c.Name, m.Net.Name)
	c.Device, c.Graphs = m.Device(), m.Graphs
	c.Precision = precisionOf(m.DType)
	c.Method.Name, c.Method.Modules = "own", len(m.Modules())
	c.Model.Name = m.Net.Name
	if s := m.Spec; s != nil {
		if c.Seed != s.Seed && c.Seed != 0 && c.Seed != Defaults().Seed {
			return c, fault.New("seed is %d: must be %d, from which the network %s was drawn, or be left out", c.Seed, s.Seed, m.Net.Name)
		}
		rate, err := rateOf(c.Optim.LR, s.Optim.LR)
		if err != nil {
			return c, err
		}
		c.Model, c.Method, c.Head, c.Optim, c.Tune, c.Loss, c.Seed = s.Net, s.Method, s.Head, s.Optim, s.Tune, s.Loss, s.Seed
		c.Optim.LR, c.Repeats = rate, s.Arithmetic.Deterministic
		if s.Arithmetic.TF32 {
			c.Precision = "tf32"
		}
	}
	if err := recipe.Complete(&c); err != nil {
		return c, err
	}
	if c.Optim.LR == 0 {
		return c, fault.New("optim.lr is 0: must be above 0, or nothing is learned")
	}
	return c, c.checkTraining()
}

// rateOf is the learning rate of a recipe and of a network's spec: of the two the one that somebody has set.
func rateOf(recipe, spec float64) (float64, error) {
	usual := Defaults().Optim.LR
	switch {
	case recipe == spec, recipe == 0, recipe == usual:
		return spec, nil
	case spec == 0, spec == usual:
		return recipe, nil
	}
	return 0, fault.New("optim.lr is %g in the recipe and %g in the network's spec: must be set in one of them", recipe, spec)
}

// checkTraining is [recipe.Validate] of what says how to train. Model and data have been checked where they were made, and may have
// names that are known to a program alone.
func (c Config) checkTraining() error {
	usual := Defaults()
	c.Data = ownData(c.Data, usual.Data.Set)
	c.Model, c.Method, c.Head, c.Tune, c.Loss = usual.Model, usual.Method, usual.Head, usual.Tune, usual.Loss
	return recipe.Validate(&c)
}

// ownData is the data section of a recipe for a set of one's own: the keys that say how batches are made of it. The others tell
// how another set would have been read.
func ownData(o data.Options, name string) data.Options {
	own := Defaults().Data
	own.Set = name
	own.Batch, own.Workers, own.Shuffle, own.Balanced, own.Broken = o.Batch, o.Workers, o.Shuffle, o.Balanced, o.Broken
	return own
}
