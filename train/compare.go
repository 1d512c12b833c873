package train

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/runfolder"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/record"
)

// compareFiles are what a comparison writes beside the folders of its runs.
var compareFiles = []string{"compare.svg", "compare.md", "agreement.svg", "shift.svg", "curves.svg"}

// lineup is the folder of several runs, each in a folder of its name, with what puts them side by side.
type lineup struct {
	folder    *runfolder.Folder
	summaries []record.Summary
	series    []record.Series
}

// Compare trains the recipes one after the other, each into a folder of its name under o.Out, and draws them in one
// picture, compare.svg, and what was diagnosed as the paper's figures do. sink makes the sink of each run. Runs that were
// finished before an error or an interruption are returned with it.
//
// With o.Resume, runs go on where they stopped, and those that were done stay as they are. Runs that o.Out has and that are
// not among the recipes keep their place in the table, with o.Force, too. One process at a time works in o.Out, and only files that a
// comparison has written are replaced.
func Compare(ctx context.Context, configs []Config, o Options, sink func() record.Sink) (rows []record.Summary, err error) {
	names := runNames(configs)
	for _, name := range names {
		if err := checkName(name); err != nil {
			return nil, err
		}
		if slices.Contains(compareFiles, name) || runfolder.Reserved(name) {
			return nil, fault.New("name is %q: must be another one, since the comparison has a file of that name", name)
		}
	}
	if o.Init != "" {
		if o.Init, err = filepath.Abs(o.Init); err != nil {
			return nil, err
		}
	}
	found, err := rehearse(configs, o)
	if err != nil {
		return nil, err
	}
	c := lineup{}
	if c.folder, err = openLineup(o, names); err != nil {
		return nil, err
	}
	defer func() {
		if closing := c.folder.Close(); err == nil {
			err = closing
		}
	}()
	if begun := c.folder.Start(); o.Resume && begun != nil { // for runs that have not begun yet
		o.Init = begun.Init
	}
	for _, name := range c.folder.Runs() {
		i := slices.Index(names, name)
		if i < 0 {
			c.keep(name, o, configs, found)
			continue
		}
		if err := c.train(ctx, configs[i], name, o, sink()); err != nil {
			return c.summaries, err
		}
	}
	return c.summaries, c.write()
}

// openLineup takes the folder of a comparison, and makes it the owner of its files and a list of the runs in it: those
// that an earlier one has left, in their order, and the new ones.
func openLineup(o Options, names []string) (*runfolder.Folder, error) {
	var adopted []string
	if wasLineup(o.Out) {
		adopted = compareFiles
	}
	f, err := runfolder.Open(o.Out, adopted, o.Notice)
	if err != nil {
		return nil, err
	}
	if holdsRun(f) {
		f.Close()
		return nil, fault.New("%s holds a single run: must be another folder for a comparison; give another --out", show.Name(o.Out))
	}
	err = vacant(names, o)
	runs := slices.Clone(f.Runs())
	for _, name := range names {
		if !slices.Contains(runs, name) {
			runs = append(runs, name)
		}
	}
	if err == nil {
		err = f.Make()
	}
	if err == nil {
		err = f.Claim(compareFiles...)
	}
	if err == nil {
		err = f.SetRuns(runs)
	}
	if err == nil && !o.Resume {
		err = f.Begin(runfolder.Start{Init: o.Init})
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// wasLineup reports whether a folder without a list of files looks like that of a comparison from before there were such
// lists: it has picture and table, and a run.
func wasLineup(dir string) bool {
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	entries, _ := os.ReadDir(dir)
	run := slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.IsDir() && begun(filepath.Join(dir, e.Name())) })
	return has("compare.svg") && has("compare.md") && run
}

// vacant finds runs that are in the way, so that none waits for the training of those before it to be refused.
func vacant(names []string, o Options) error {
	for _, name := range names {
		one := o
		one.Out = filepath.Join(o.Out, name)
		f, err := openFolder(one)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// train runs a recipe in its folder, or goes on with the run that is there.
func (c *lineup) train(ctx context.Context, recipe Config, name string, o Options, sink record.Sink) error {
	if err := c.folder.Check(); err != nil {
		return err
	}
	recipe.Name = name
	o.Out, o.Sink = c.folder.Path(name), sink
	if o.Resume = o.Resume && begun(o.Out); o.Resume {
		var err error
		if recipe, err = sameRun(o.Out, recipe); err != nil {
			return err
		}
	}
	s, err := runOne(ctx, recipe, o)
	if err != nil {
		return err
	}
	c.summaries = append(c.summaries, s)
	log, err := readMetrics(filepath.Join(o.Out, metricsFile))
	if err != nil {
		return err
	}
	c.series = append(c.series, record.Series{Name: name, TestImages: s.TestImages, Epochs: log.Epochs, Steps: log.Steps, Diagnoses: log.Diagnoses})
	return nil
}

// keep takes the results of a run that was done before, if it has any. Where it learned from other data than a recipe that reads them
// alike finds now, that is told: the table has both.
func (c *lineup) keep(name string, o Options, configs []Config, found []record.Data) {
	var s record.Summary
	text, err := disk.ReadFile(filepath.Join(c.folder.Path(name), summaryFile))
	if err != nil || json.Unmarshal(text, &s) != nil {
		return
	}
	log, err := readMetrics(filepath.Join(c.folder.Path(name), metricsFile))
	if err != nil {
		return
	}
	c.summaries = append(c.summaries, s)
	c.series = append(c.series, record.Series{Name: name, TestImages: s.TestImages, Epochs: log.Epochs, Steps: log.Steps, Diagnoses: log.Diagnoses})
	was, err := begunWith(c.folder.Path(name))
	if err != nil {
		return
	}
	for i, now := range configs {
		if part := s.Data.Differ(found[i], was.Seed == now.Seed || now.Data.Validation == 0); part != "" && readAlike(was.Data, now.Data) && o.Notice != nil {
			o.Notice(fmt.Sprintf("%s stays in the table, and had other %s than there are now: --force with its method trains it again",
				show.Name(c.folder.Path(name)), part))
			return
		}
	}
}

// readAlike reports whether two recipes take the same samples of a set, if its files are the same.
func readAlike(a, b data.Options) bool {
	a.Workers, a.Broken, a.Dir = b.Workers, b.Broken, b.Dir
	return reflect.DeepEqual(a, b)
}

// write draws the pictures and writes the table.
func (c *lineup) write() error {
	if err := c.folder.Check(); err != nil {
		return err
	}
	for i, name := range record.Table(c.summaries).Names() { // shorter ones leave room in the pictures
		c.series[i].Name = name
	}
	if err := record.PlotCompare(c.folder.Path("compare.svg"), c.series); err != nil {
		return err
	}
	if err := record.PlotFigures(c.folder.Dir, c.series); err != nil {
		return err
	}
	table := record.Table(c.summaries).Markdown() + "\n"
	if err := disk.WriteFile(c.folder.Path("compare.md"), []byte(table)); err != nil {
		return c.folder.Failed("compare.md", err)
	}
	return nil
}

// begun reports whether there is a run in a folder to go on with.
func begun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, configFile))
	return err == nil
}

// rehearse opens the data and builds the model of every recipe, so that a mistake in the last one does not wait for
// the training of all before it. Weights to start from are tried, too. It returns what the data are.
func rehearse(configs []Config, o Options) (found []record.Data, err error) {
	for _, c := range configs {
		set, err := data.Open(c.Data, c.Seed, dirs(o.Data))
		if err != nil {
			return nil, err
		}
		found = append(found, record.Data(data.FingerprintOf(set)))
		model, err := NewModel(c, inputOf(set.Info()), true)
		if err != nil {
			return nil, err
		}
		if o.Init != "" {
			_, err = model.InitFrom(o.Init)
		}
		model.Free()
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// sameRun returns the recipe of the run in dir, which has the cuts that were chosen for it, and a fault when it was started with
// another one than c.
func sameRun(dir string, c Config) (Config, error) {
	run, err := LoadRun(dir, nil)
	if err != nil {
		return run, err
	}
	return run, Agree(run, c)
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
