package train

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/record"
)

// Compare trains the recipes one after the other, each into a folder of its name under o.Out, and draws them in one
// picture, compare.svg, and what was diagnosed as the paper's figures do. sink makes the sink of each run. Runs that were finished before an error or an interruption
// are returned with it. With o.Resume, runs go on where they stopped, and those that were done stay as they are.
func Compare(ctx context.Context, configs []Config, o Options, sink func() record.Sink) ([]record.Summary, error) {
	names := runNames(configs)
	if err := rehearse(configs, o); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := checkName(name); err != nil {
			return nil, err
		}
		one := o
		one.Out = filepath.Join(o.Out, name)
		f, err := openFolder(one) // so that no run waits for the training of those before it to be refused
		if err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	var summaries []record.Summary
	var series []record.Series
	for i, c := range configs {
		c.Name = names[i]
		one := o
		one.Out, one.Sink = filepath.Join(o.Out, names[i]), sink()
		if one.Resume = o.Resume && begun(one.Out); one.Resume {
			if err := sameRun(one.Out, c); err != nil {
				return summaries, err
			}
		}
		s, err := runOne(ctx, c, one)
		if err != nil {
			return summaries, err
		}
		summaries = append(summaries, s)
		log, err := readMetrics(filepath.Join(one.Out, metricsFile))
		if err != nil {
			return summaries, err
		}
		series = append(series, record.Series{Name: names[i], Epochs: log.Epochs, Steps: log.Steps, Diagnoses: log.Diagnoses})
	}
	if err := record.PlotCompare(filepath.Join(o.Out, "compare.svg"), series); err != nil {
		return summaries, err
	}
	if err := record.PlotFigures(o.Out, series); err != nil {
		return summaries, err
	}
	table := record.Table(summaries).Markdown() + "\n"
	path := filepath.Join(o.Out, "compare.md")
	if err := disk.WriteFile(path, []byte(table)); err != nil {
		return summaries, fault.New("cannot write %s: %w", path, err)
	}
	return summaries, nil
}

// begun reports whether there is a run in a folder to go on with.
func begun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, configFile))
	return err == nil
}

// rehearse opens the data and builds the model of every recipe, so that a mistake in the last one does not wait for
// the training of all before it.
func rehearse(configs []Config, o Options) error {
	for _, c := range configs {
		set, err := data.Open(c.Data, c.Seed, dirs(o.Data))
		if err != nil {
			return err
		}
		model, err := NewModel(c, inputOf(set.Info()), true)
		if err != nil {
			return err
		}
		model.Free()
	}
	return nil
}

// sameRun returns a fault when the run in dir was started with another recipe.
func sameRun(dir string, c Config) error {
	run, err := LoadRun(dir, nil)
	if err != nil {
		return err
	}
	return Agree(run, c)
}

func runOne(ctx context.Context, c Config, o Options) (s record.Summary, err error) {
	r, err := FromRecipe(c, o)
	if err != nil {
		return s, err
	}
	s, err = r.Train(ctx)
	if closing := r.Close(); err == nil {
		err = closing
	}
	return s, err
}

// runNames returns the configs' names, numbered where one occurs again.
func runNames(configs []Config) []string {
	seen := map[string]int{}
	var names []string
	for _, c := range configs {
		name := c.Name
		if seen[c.Name]++; seen[c.Name] > 1 {
			name += "-" + strconv.Itoa(seen[c.Name])
		}
		names = append(names, name)
	}
	return names
}
