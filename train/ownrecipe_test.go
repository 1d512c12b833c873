package train_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// What a program leaves zero has its default, and what cannot be is refused before anything is made.
func TestOwnRecipe(t *testing.T) {
	before := torch.LiveTensors()
	run := func(t *testing.T, m *model.Model, change func(*train.Config)) (folder string, err error) {
		t.Helper()
		c, folder := ownConfig(), filepath.Join(t.TempDir(), "run")
		change(&c)
		r, err := train.New(m, blobs(t, 256), c, train.Options{Out: folder, Steps: 4})
		if err != nil {
			return folder, err
		}
		if _, err := r.Train(t.Context()); err != nil {
			t.Error(err)
		}
		return folder, r.Close()
	}
	for _, c := range []struct {
		name   string
		change func(*train.Config)
		want   string // a fault, or a line of the recipe
	}{
		{"all zero", func(c *train.Config) { *c = train.Config{} }, "optim.lr is 0: must be above 0"},
		{"nothing but a rate", func(c *train.Config) { *c = train.Config{}; c.Optim.LR = 0.2 }, "\n  batch: 128\n"},
		{"no name", func(c *train.Config) { c.Name = "" }, "name: own\n"},
		{"no epochs", func(c *train.Config) { c.Schedule.Epochs = 0 }, "\n  epochs: 1\n"},
		{"no schedule", func(c *train.Config) { c.Schedule.Name = "" }, "\n  name: cosine\n"},
		{"no evaluation", func(c *train.Config) { c.Eval.Every = 0 }, "\n  every: 1\n"},
		{"no batch", func(c *train.Config) { c.Data.Batch = 0 }, "\n  batch: 128\n"},
		{"another schedule", func(c *train.Config) { c.Schedule.Name = "steps" }, "schedule.name is steps: must be one of"},
		{"epochs", func(c *train.Config) { c.Schedule.Epochs = -1 }, "schedule.epochs is -1"},
		{"batch", func(c *train.Config) { c.Data.Batch = -1 }, "data.batch is -1"},
		{"rate", func(c *train.Config) { c.Optim.LR = -1 }, "optim.lr is -1"},
		{"name", func(c *train.Config) { c.Name = "a/b" }, "name is a/b"},
		{"checkpoints", func(c *train.Config) { c.Checkpoint.Keep = -1 }, "checkpoint.keep is -1"},
		{"neighbours", func(c *train.Config) { c.Probe.Neighbours = -4 }, "probe.neighbours is -4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder, err := run(t, ownModel(t, torch.CPU), c.change)
			doc, unread := os.ReadFile(filepath.Join(folder, "config.yaml"))
			if strings.Contains(c.want, "\n") {
				if err != nil || !strings.Contains(string(doc), c.want) {
					t.Errorf("error %v, recipe\n%s", err, doc)
				}
			} else if !fault.Is(err) || !strings.Contains(err.Error(), c.want) || unread == nil {
				t.Errorf("error %v, want %q; recipe\n%s", err, c.want, doc)
			}
		})
	}
	for _, c := range []struct {
		recipe, spec float64
		want         string
	}{
		{0.1, 0.1, "lr: 0.1\n"}, {0.3, 0.1, "lr: 0.3\n"}, {0.1, 0.05, "lr: 0.05\n"}, {0, 0.05, "lr: 0.05\n"}, {0.3, 0, "lr: 0.3\n"},
		{0.3, 0.05, "optim.lr is 0.3 in the recipe and 0.05 in the network's spec: must be set in one of them"},
	} {
		folder, err := run(t, named(t, func(s *model.Spec) { s.Optim.LR = c.spec }), func(o *train.Config) { o.Optim.LR = c.recipe })
		doc, _ := os.ReadFile(filepath.Join(folder, "config.yaml"))
		if refused := !strings.HasSuffix(c.want, "\n"); refused && (!fault.Is(err) || !strings.Contains(err.Error(), c.want)) || !refused && (err != nil || !strings.Contains(string(doc), c.want)) {
			t.Errorf("a rate of %g and %g: error %v, want %q", c.recipe, c.spec, err, c.want)
		}
	}
	if _, err := run(t, named(t, func(s *model.Spec) { s.Seed = 3 }), func(c *train.Config) { c.Seed = 5 }); !fault.Is(err) || !strings.Contains(err.Error(), "seed is 5: must be 3") {
		t.Errorf("two seeds: %v", err)
	}
	if n := torch.LiveTensors() - before; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
}

// named is a network of the zoo for points in the plane.
func named(t *testing.T, change func(*model.Spec)) *model.Model {
	t.Helper()
	spec := model.Defaults()
	spec.Net.Name, spec.Net.Depth, spec.Net.Width, spec.Head.Name = "mlp", 2, 16, "linear"
	spec.Method.Name, spec.Method.Modules = "layerwise", 2
	spec.Input = model.Input{Shape: nn.Shape{C: 2}, Classes: 4}
	change(&spec)
	m, err := model.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
