package study

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/train"
)

// Outcome is what became of a cell. It lies beside the cell's run folder, as ARM/seed-N.json, and is written once: when the
// run is finished, or has failed for a reason of its own.
type Outcome struct {
	Arm     string            `json:"arm"`
	Seed    uint64            `json:"seed"`
	Failed  string            `json:"failed,omitzero"` // why, in a line; empty for a run that came to its end
	Summary record.Summary    `json:"summary"`
	Commit  string            `json:"commit,omitzero"`  // several where the run went on elsewhere, with "; " between them
	Machine string            `json:"machine,omitzero"` // likewise
	PFLOP   float64           `json:"pflop,omitzero"`
	Sums    map[string]string `json:"sha256,omitzero"` // of files in the run folder, by their names
}

// guarded are the files of a run that a result rests on.
var guarded = []string{"config.yaml", "summary.json"}

// Dir is the run folder of a cell in the folder of a study.
func (c Cell) Dir(out string) string { return filepath.Join(out, filepath.FromSlash(c.Name())) }

func (c Cell) outcomeFile(out string) string { return c.Dir(out) + ".json" }

// Outcome reads what became of a cell; nil if it is not done. It is a fault where the run folder is not as the study left it.
func (c Cell) Outcome(out string) (*Outcome, error) {
	path := c.outcomeFile(out)
	text, err := disk.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		cause, _ := disk.Cause(err)
		return nil, fault.New("%s cannot be read: %w", path, cause)
	}
	var o Outcome
	if err := json.Unmarshal(text, &o); err != nil || o.Arm != c.Arm.Name || o.Seed != c.Seed {
		return nil, fault.New("%s is not what the study wrote there: remove it, and the run in %s is looked at again", path, c.Dir(out))
	}
	if o.Failed == "" {
		if err := c.intact(out, o.Sums); err != nil {
			return nil, err
		}
	}
	return &o, c.asked(out)
}

// intact is a fault where a file of a run is not as the study left it.
func (c Cell) intact(out string, sums map[string]string) error {
	for _, name := range guarded {
		sum, err := sumOf(filepath.Join(c.Dir(out), name))
		if err != nil || sum != sums[name] {
			return fault.New("%s is not as the study left it: put it back, or remove %s and the folder beside it to run the cell again",
				filepath.Join(c.Dir(out), name), c.outcomeFile(out))
		}
	}
	return nil
}

// asked is a fault where a run was trained by another recipe than its arm has by now: its result would answer a question that was not
// asked. One that failed early may have left nothing to compare.
func (c Cell) asked(out string) error {
	if _, err := os.Stat(filepath.Join(c.Dir(out), "config.yaml")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	run, err := train.LoadRun(c.Dir(out), nil)
	if err != nil {
		return err
	}
	other, err := train.OtherResult(run, c.Config())
	if err != nil || len(other) == 0 {
		return err
	}
	return fault.New("%s was trained with %s %s, and the arm has %s now: give another --out, or remove the folder and %s to train it again",
		show.Name(c.Dir(out)), other[0].Key, other[0].A, other[0].B, show.Name(filepath.Base(c.outcomeFile(out))))
}

func sumOf(path string) (string, error) {
	text, err := disk.ReadFile(path)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// finished makes the outcome of a run that came to its end.
func (c Cell) finished(out string) (*Outcome, error) {
	o := &Outcome{Arm: c.Arm.Name, Seed: c.Seed, Sums: map[string]string{}}
	if err := o.read(c.Dir(out)); err != nil {
		return nil, err
	}
	for _, name := range guarded {
		sum, err := sumOf(filepath.Join(c.Dir(out), name))
		if err != nil {
			return nil, err
		}
		o.Sums[name] = sum
	}
	return o, nil
}

// read takes over what a run folder says of the run. One that failed early may have no summary.
func (o *Outcome) read(dir string) error {
	var env record.Env
	if text, err := disk.ReadFile(filepath.Join(dir, "env.json")); err == nil && json.Unmarshal(text, &env) == nil {
		var commits, machines []string
		for _, at := range append(env.Earlier, env) {
			commit := at.Commit
			if at.Modified {
				commit += " with changes"
			}
			commits, machines = add(commits, commit), add(machines, fmt.Sprintf("%s, %d of %d cores", at.CPU, at.Threads, at.Cores))
		}
		o.Commit, o.Machine = strings.Join(commits, "; "), strings.Join(machines, "; ")
	}
	text, err := disk.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &o.Summary)
}

// store writes the outcome of a cell, behind what TensorBoard gets of it: an outcome says that nothing is left to do.
func (o *Outcome) store(c Cell, out string) error {
	if err := c.session(out, o); err != nil {
		return err
	}
	text, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	path := c.outcomeFile(out)
	if err := disk.WriteFile(path, append(text, '\n')); err != nil {
		cause, _ := disk.Cause(err)
		return fault.New("%s cannot be written: %w; the same command goes on from here", path, cause)
	}
	return nil
}
