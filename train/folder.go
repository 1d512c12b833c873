package train

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/record"
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

// DefaultOut returns runs/<name>-<time>.
func DefaultOut(name string, now time.Time) string {
	return filepath.Join("runs", name+"-"+now.Format("20060102-150405"))
}

// holdsRun reports whether dir has files of a run.
func holdsRun(dir string) bool {
	for _, name := range []string{configFile, metricsFile, lastFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// prepare makes the run folder and clears away the files of a run that is in it.
func prepare(dir string) error {
	if holdsRun(dir) {
		for _, pattern := range []string{
			lastFile, bestFile, emaFile, "state-*.safetensors", "events.out.tfevents.*", "plots/*.svg", metricsFile, summaryFile, DiagnosisFile, envFile, configFile,
		} {
			paths, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				return err
			}
			for _, p := range paths {
				if err := os.Remove(p); err != nil {
					return err
				}
			}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.New("the run folder cannot be made: %w", err)
	}
	return nil
}

// describe writes the resolved recipe and the environment.
func describe(dir string, c Config) error {
	doc, err := recipe.Encode(&c)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(dir, configFile), doc, 0o644); err != nil { // whole or not at all: a resume needs it
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err // it names a temporary file
		}
		return fault.New("cannot write %s: %w", filepath.Join(dir, configFile), err)
	}
	return record.WriteJSON(filepath.Join(dir, envFile), record.CollectEnv(torch.Describe().String(), torch.Threads()))
}

// LoadRun resolves the recipe of an existing run folder, with assignments on top.
func LoadRun(dir string, sets []string) (Config, error) {
	path := filepath.Join(dir, configFile)
	doc, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fault.New("%s holds no run to resume: it has no %s", dir, configFile)
	}
	if err != nil {
		return Config{}, fault.New("the run cannot be resumed: %w", err)
	}
	c, _, err := resolve(recipe.Source{Name: filepath.Base(dir), Path: path, Doc: doc}, sets)
	return c, err
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
