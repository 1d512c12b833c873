package train_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/train"
)

// A recipe that a program fills itself is completed, settled and checked as one that was read: what it leaves behind can be
// read again.
func TestFromRecipeOfAProgram(t *testing.T) {
	b := newWorkbench(t)
	small := func(c *train.Config) {
		c.Data.Set, c.Data.Batch, c.Model.Name, c.Model.Width, c.Model.Depth = "cifar10", 8, "resnet32", 4, 8
	}
	for _, c := range []struct {
		name   string
		change func(*train.Config)
		want   string // a fault; none: lines of the recipe
		lines  []string
	}{
		{"by a method that has one module", func(c *train.Config) { *c = train.Defaults(); small(c); c.Method.Name = "bp" }, "", []string{"name: bp\n", "\n  modules: 1\n"}},
		{"but for what it needs empty", func(c *train.Config) { small(c) }, "", []string{"name: sgr\n", "\n  epochs: 1\n", "\n  modules: 3\n"}},
		{"schedule", func(c *train.Config) { *c = train.Defaults(); small(c); c.Schedule.Name = "steps" }, "schedule.name is steps", nil},
		{"batch", func(c *train.Config) { *c = train.Defaults(); small(c); c.Data.Batch = -3 }, "data.batch is -3", nil},
		{"name", func(c *train.Config) { *c = train.Defaults(); small(c); c.Name = "../up" }, "name is ../up", nil},
		{"method", func(c *train.Config) { *c = train.Defaults(); small(c); c.Method.Name = "spr" }, "method.name is \"spr\"", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("LOCUS_DATA", "")
			var config train.Config
			c.change(&config)
			out := filepath.Join(t.TempDir(), "run")
			r, err := train.FromRecipe(config, train.Options{Data: b.dir, Out: out, Steps: 0})
			if c.want != "" {
				if !fault.Is(err) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				if err == nil {
					r.Close()
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Train(t.Context()); err != nil {
				t.Error(err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			doc, err := os.ReadFile(filepath.Join(out, "config.yaml"))
			for _, line := range c.lines {
				if err != nil || !strings.Contains(string(doc), line) {
					t.Errorf("error %v, no %q in\n%s", err, line, doc)
				}
			}
			again, err := train.LoadRun(out, nil)
			if err != nil {
				t.Fatal(err)
			}
			r, err = train.FromRecipe(again, train.Options{Data: b.dir, Out: out, Steps: 1, Resume: true})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Train(t.Context()); err != nil {
				t.Error(err)
			}
			r.Close()
		})
	}
}
