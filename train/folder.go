package train

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/runfolder"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
)

const (
	configFile  = "config.yaml"
	envFile     = "env.json"
	metricsFile = "metrics.jsonl"
	summaryFile = "summary.json"

	// DiagnosisFile is the table of a run that is diagnosed.
	DiagnosisFile = "diagnosis.md"
)

// ownFiles are the names that a run from before manifests may have written.
var ownFiles = []string{
	lastFile, bestFile, emaFile, "state-*.safetensors", stepPattern, "events.out.tfevents.*", metricsFile, summaryFile, DiagnosisFile, envFile, configFile,
	"plots/accuracy.svg", "plots/loss.svg", "plots/reconciliation.svg", "plots/diagnosis.svg",
	"plots/agreement.svg", "plots/shift.svg", "plots/curves.svg",
}

// namesOf returns the patterns that are names: what a run can write without knowing more of itself.
func namesOf(patterns []string) []string {
	return slices.DeleteFunc(slices.Clone(patterns), func(p string) bool { return strings.Contains(p, "*") })
}

// NewOut makes a folder of its own for a run, runs/<name>-<time>, and returns its path: a number is added where another run
// of the same second has that name.
func NewOut(name string, now time.Time) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	folder, err := runfolder.New(filepath.Join("runs", name+"-"+now.Format("20060102-150405")))
	if err != nil {
		return "", err
	}
	return folder.Dir, folder.Close()
}

// RunName is what the folder of a run is called where nobody names it: as a recipe of one's own is, or after the network and
// the method, since a recipe of the library may have others by now.
func (c Config) RunName() string {
	if slices.ContainsFunc(recipe.Names(), func(e recipe.Entry) bool { return e.Name == c.Name }) {
		return c.Model.Name + "-" + c.Method.Name
	}
	return c.Name
}

// checkName refuses a name that is no name of a folder: it would lead a run out of the folder of runs.
func checkName(name string) error {
	plain := func(r rune) bool { return unicode.IsPrint(r) && !strings.ContainsRune(`/\`, r) }
	if name == "." || name == ".." || len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return fault.New("name is %q: must be the name of a folder, at most 100 bytes without / and control characters", name)
	}
	return nil
}

// holdsRun reports whether a folder has a run of ours that was at least begun.
func holdsRun(f *runfolder.Folder) bool {
	return f.Has(configFile) || f.Has(metricsFile) || f.Has(lastFile)
}

// openFolder takes the run folder for this process, before anything in it is read.
func openFolder(o Options) (*runfolder.Folder, error) {
	f, err := runfolder.Open(o.Out, ownFiles, o.Notice)
	if err != nil {
		return nil, err
	}
	if !o.Resume && !o.Force && holdsRun(f) {
		f.Close()
		return nil, fault.New("%s holds a run already: give --resume to go on with it, --force to replace it, or another --out", o.Out)
	}
	if o.Resume {
		if err := lostCheckpoint(f); err != nil {
			f.Close()
			return nil, err
		}
	}
	if inner := innerRun(f.Dir); inner != "" && !o.Resume && !holdsRun(f) {
		f.Close()
		return nil, fault.New("%s holds other runs, such as %s: must be a folder of the run's own, such as %s", o.Out, show.Name(inner), filepath.Join(o.Out, "mine"))
	}
	return f, nil
}

// innerRun names a folder with a run in it that lies in dir; "" where there is none.
func innerRun(dir string) string {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() && begun(filepath.Join(dir, e.Name())) {
			return e.Name()
		}
	}
	return ""
}

// lostCheckpoint returns a fault if a run was past its first steps and has lost its checkpoint since: to begin again would remove
// what is left of it.
func lostCheckpoint(f *runfolder.Folder) error {
	if f.Start() == nil || f.Has(lastFile) { // no run, or one that was being removed
		return nil
	}
	for _, pattern := range []string{"state-*.safetensors", bestFile, emaFile, stepPattern} {
		for _, name := range f.Files(pattern) {
			if f.Has(name) && name != stateFile(0) {
				return fault.New("%s has %s, but no %s that goes with it: put it back; --force removes what is left and begins again",
					show.Name(f.Dir), name, lastFile)
			}
		}
	}
	return nil
}

// prepare makes the run folder and clears away the files of a run that is in it, but for those to be kept.
func prepare(f *runfolder.Folder, keep []string, start runfolder.Start) error {
	if err := f.Make(); err != nil {
		return err
	}
	if err := f.Clear(keep...); err != nil {
		return err
	}
	return f.Begin(start)
}

// describe writes the resolved recipe and the environment. Of a run that goes on elsewhere, notice hears what is another there.
func describe(f *runfolder.Folder, c Config, notice func(string)) error {
	doc, err := recipe.Describe(&c)
	if err != nil {
		return err
	}
	if err := disk.WriteFile(f.Path(configFile), doc); err != nil { // whole or not at all: a resume needs it
		return f.Failed(configFile, err)
	}
	env := record.CollectEnv(torch.Describe().String(), torch.Threads())
	var before record.Env
	if text, err := disk.ReadFile(f.Path(envFile)); err == nil && json.Unmarshal(text, &before) == nil {
		if other := env.Continues(before); other != "" {
			notice("the run goes on elsewhere, where the last bits of weights may differ: " + show.Line(other))
		}
	}
	return record.WriteJSON(f.Path(envFile), env)
}

// LoadRun resolves the recipe of an existing run folder, with assignments on top.
func LoadRun(dir string, sets []string) (Config, error) {
	path, doc, err := described(dir)
	if err != nil {
		return Config{}, err
	}
	c, _, err := resolve(recipe.Source{Name: filepath.Base(dir), Path: path, Doc: doc}, sets)
	if was, unchecked := begunWith(dir); err != nil && unchecked == nil {
		if _, unknown := data.Lookup(was.Data.Set); unknown != nil {
			return c, fault.New("%w; data of a program's own is known there alone", err)
		}
	}
	return c, err
}

// begunWith is the recipe that the run in a folder was begun with, to compare another one with: its data may be one's own, which
// no name finds and nothing can check. The checkpoint tells it, since config.yaml is easily edited; before the first one,
// config.yaml does.
func begunWith(dir string) (Config, error) {
	path, doc, err := saved(dir)
	if err == nil && doc == nil {
		path, doc, err = described(dir)
	}
	if err != nil {
		return Config{}, err
	}
	c := Defaults()
	return c, recipe.Recall(path, doc, &c)
}

// saved reads the recipe in the checkpoint of a run; it is nil where there is no checkpoint, or none that has one.
func saved(dir string) (path string, doc []byte, err error) {
	path = filepath.Join(dir, lastFile)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return path, nil, nil
	}
	w, err := safetensors.Open(path)
	if err != nil {
		return path, nil, err
	}
	defer w.Close()
	if text, ok := w.Metadata()[metaRecipe]; ok {
		doc = []byte(text)
	}
	return path, doc, nil
}

// described reads what [describe] wrote.
func described(dir string) (path string, doc []byte, err error) {
	path = filepath.Join(dir, configFile)
	doc, err = disk.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil, fault.New("%s holds no run to resume: it has no %s", dir, configFile)
	}
	if err != nil {
		cause, _ := disk.Cause(err)
		return path, nil, fault.New("the run cannot be resumed: %s cannot be read: %w", path, cause)
	}
	return path, doc, nil
}

// Agree returns a fault when a recipe given for a resumed run is not the one that the run was started with.
func Agree(run, given Config) error {
	if _, auto := given.Method.Auto(); auto { // the run has what was found
		given.Method.Cuts = run.Method.Cuts
	}
	a, err := recipe.Encode(&run)
	if err != nil {
		return err
	}
	b, err := recipe.Encode(&given)
	if err != nil {
		return err
	}
	want, got := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return fault.New("the run to resume has %q where the recipe given now has %q: leave the recipe away, or start a new run",
				strings.TrimSpace(want[i]), strings.TrimSpace(got[i]))
		}
	}
	return nil
}
