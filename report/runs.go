// Package report puts runs that exist side by side: a table for a paper, its pictures, and a page. It reads run folders,
// and never trains.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/record"
)

// Files of a run folder that are read.
const (
	recipeFile  = "config.yaml"
	summaryFile = "summary.json"
	metricsFile = "metrics.jsonl"
)

// Run is a run that exists.
type Run struct {
	Dir     string
	Keys    map[string]string // its recipe, flat: "method.name": "sgr"
	Summary record.Summary
	Log     record.Log
}

// deepest is how many folders down runs are looked for: a folder of studies has folders of arms, and these have seeds.
const deepest = 4

// Find reads the runs in folders: a run's own, or one that has runs somewhere below. Runs that have not ended, or ended
// before their last step, are left out, and notice gets a line for each. Finding none is a fault.
func Find(dirs []string, notice func(string)) ([]Run, error) {
	var runs []Run
	seen := map[string]bool{}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, fault.New("%s holds no runs: must be the folder of a run, or one with such folders in it", dir)
		}
		before := len(runs)
		found := Folders(dir)
		for _, at := range found {
			if key := absolute(at); seen[key] {
				continue
			} else {
				seen[key] = true
			}
			run, left, err := read(at)
			if err != nil {
				return nil, err
			}
			if left != "" {
				notice(fmt.Sprintf("%s is left out: %s", at, left))
				continue
			}
			runs = append(runs, run)
		}
		if len(found) == 0 {
			return nil, fault.New("%s holds no runs: must be the folder of a run, or one with such folders in it", dir)
		}
		if len(dirs) == 1 && len(runs) == before {
			return nil, fault.New("%s holds no run that has ended: let one end, or go on with it by 'locus train --resume --out %s'", dir, found[0])
		}
	}
	if len(runs) == 0 {
		return nil, fault.New("none of the %d folders holds a run that has ended: let one end, or go on with it by --resume", len(dirs))
	}
	return runs, nil
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// Folders lists the run folders at or below a folder, in the order of their names.
func Folders(dir string) []string { return folders(dir, deepest) }

func folders(dir string, depth int) []string {
	if _, err := os.Stat(filepath.Join(dir, recipeFile)); err == nil {
		return []string{dir}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || depth == 0 {
		return nil // what cannot be read holds nothing for us
	}
	var found []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			found = append(found, folders(filepath.Join(dir, e.Name()), depth-1)...)
		}
	}
	return found
}

// read returns the run in a folder, or why it is left out.
func read(dir string) (run Run, left string, err error) {
	run.Dir = dir
	if run.Keys, err = Keys(dir); err != nil {
		return run, "", err
	}
	text, err := disk.ReadFile(filepath.Join(dir, summaryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return run, "it has not ended", nil
	}
	if err != nil {
		return run, "", unreadable(dir, summaryFile, err)
	}
	if err := json.Unmarshal(text, &run.Summary); err != nil {
		return run, "", unreadable(dir, summaryFile, err)
	}
	if run.Summary.Stopped != "" {
		return run, "it ended early: " + run.Summary.Stopped, nil
	}
	if run.Log, err = Metrics(dir); err != nil {
		return run, "", err
	}
	return run, "", nil
}

// Metrics reads what the run in a folder has measured so far, nothing where it has not begun.
func Metrics(dir string) (record.Log, error) {
	f, err := disk.Open(filepath.Join(dir, metricsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return record.Log{}, nil
	}
	if err != nil {
		return record.Log{}, unreadable(dir, metricsFile, err)
	}
	defer f.Close()
	log, err := record.ReadJSONL(f)
	if err != nil {
		return log, unreadable(dir, metricsFile, err)
	}
	return log, nil
}

// Keys reads the recipe of the run in a folder, flat.
func Keys(dir string) (map[string]string, error) {
	text, err := disk.ReadFile(filepath.Join(dir, recipeFile))
	if err != nil {
		return nil, unreadable(dir, recipeFile, err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, unreadable(dir, recipeFile, err)
	}
	keys := map[string]string{}
	if len(root.Content) > 0 {
		flatten(keys, "", root.Content[0])
	}
	return keys, nil
}

func flatten(into map[string]string, prefix string, n *yaml.Node) {
	switch n.Kind {
	case yaml.ScalarNode:
		into[prefix] = n.Value
	case yaml.SequenceNode:
		var items []string
		for _, item := range n.Content {
			items = append(items, item.Value)
		}
		into[prefix] = strings.Join(items, ",")
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			if prefix != "" {
				name = prefix + "." + name
			}
			flatten(into, name, n.Content[i+1])
		}
	}
}

func unreadable(dir, name string, err error) error {
	cause, _ := disk.Cause(err)
	return fault.New("%s cannot be read: %w; leave that run out, or mend the file", filepath.Join(dir, name), cause)
}

// names lists what the runs' recipes have for keys.
func names(runs []Run) []string {
	all := map[string]bool{}
	for _, r := range runs {
		for k := range r.Keys {
			all[k] = true
		}
	}
	var out []string
	for k := range all {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
