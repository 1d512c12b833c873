package study

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/runfolder"
	"github.com/locus-learn/locus/train"
)

// Files of a study in its folder, besides the arms' folders.
const (
	studyFile  = "study.yaml"
	reportFile = "study.md"
	tableFile  = "study.csv"
	plotFile   = "study.svg"
)

// openFolder takes a study's folder for this process, if it is there. What is in it and is not the study's stays.
func openFolder(dir string) (*runfolder.Folder, error) {
	f, err := runfolder.Open(dir, nil, nil)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "config.yaml")); err == nil {
		f.Close()
		return nil, fault.New("%q holds a run, not a study: give another --out", dir)
	}
	return f, nil
}

// write stores a file of the study's own in its folder, which it makes if need be.
func write(f *runfolder.Folder, name string, content []byte) error {
	if err := f.Make(); err != nil {
		return err
	}
	if err := f.Claim(name); err != nil {
		return err
	}
	if err := disk.WriteFile(f.Path(name), content); err != nil {
		return f.Failed(name, err)
	}
	return nil
}

// begun reports whether a cell has a run to go on with. It is a fault if the run there is not the cell's: its recipe was
// changed by hand, or the study's was.
func (c Cell) begun(out string) (bool, error) {
	dir := c.Dir(out)
	if _, err := os.Stat(filepath.Join(dir, "config.yaml")); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	run, err := train.LoadRun(dir, nil)
	if err != nil {
		return false, err
	}
	want := c.Config()
	want.Threads, want.Device, want.Name = run.Threads, run.Device, run.Name // of the machine, not of the question
	if err := train.Agree(run, want); err != nil {
		return false, fault.New("%s is not the run of this study's arm %s: %w", dir, c.Arm.Name, err)
	}
	return true, nil
}

// Config is the cell's recipe.
func (c Cell) Config() train.Config {
	config := c.Arm.Config
	config.Seed = c.Seed
	return config
}
