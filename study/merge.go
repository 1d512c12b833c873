package study

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/runfolder"
)

// Merge copies the cells that are done in other folders of the same study into out, and writes the report there. Cells that
// out has stay as they are; one that two folders have with different results is a fault.
func Merge(s *Study, out string, from []string) (rep *Report, err error) {
	folder, err := openFolder(out)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := folder.Close(); err == nil {
			err = closing
		}
	}()
	if err := folder.Make(); err != nil { // what is copied must be nobody else's meanwhile
		return nil, err
	}
	for _, dir := range from {
		if err := mergeOne(s, out, dir); err != nil {
			return nil, err
		}
	}
	if err := write(folder, studyFile, s.Doc); err != nil {
		return nil, err
	}
	if rep, err = Summarise(s, out); err != nil {
		return nil, err
	}
	return rep, cmp.Or(s.figures(folder, rep), rep.write(folder))
}

func mergeOne(s *Study, out, dir string) error {
	other, err := runfolder.Open(dir, nil, nil) // nobody may be at work in it
	if err != nil {
		return err
	}
	defer other.Close()
	doc, err := disk.ReadFile(filepath.Join(dir, studyFile))
	if err != nil {
		return fault.New("%s holds no study: it has no %s", dir, studyFile)
	}
	if !bytes.Equal(doc, s.Doc) {
		return fault.New("%s holds another study: its %s differs; merge folders of one study", dir, studyFile)
	}
	for _, c := range s.Cells() {
		theirs, err := c.Outcome(dir)
		if err != nil {
			return err
		}
		ours, err := c.Outcome(out)
		switch {
		case err != nil:
			return err
		case theirs == nil:
			continue
		case ours == nil:
			err = take(c, out, dir, theirs)
		case ours.Sums["summary.json"] != theirs.Sums["summary.json"] || ours.Failed != theirs.Failed:
			err = fault.New("%s is in both %s and %s, with different results: remove one of them", c.Name(), out, dir)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// take copies a cell. The outcome comes last, so that a copy which was cut off is made again.
func take(c Cell, out, dir string, o *Outcome) error {
	from, to := c.Dir(dir), c.Dir(out)
	if _, err := os.Stat(to); err == nil {
		return fault.New("%s has a run that is not finished, which %s has finished: remove the former, or give another --out", to, dir)
	}
	if _, err := os.Stat(from); !errors.Is(err, fs.ErrNotExist) { // a run that failed early may have no folder
		if err := disk.MkdirAll(filepath.Dir(to)); err != nil {
			return fault.New("%s cannot be made: %w", filepath.Dir(to), err)
		}
		temporary := to + ".part"
		if err := os.RemoveAll(temporary); err != nil {
			return fault.New("%s cannot be removed: %w", temporary, err)
		}
		if err := os.CopyFS(temporary, os.DirFS(from)); err != nil {
			return fault.New("%s cannot be copied: %w", from, err)
		}
		if err := disk.Rename(temporary, to); err != nil {
			return fault.New("%s cannot be written: %w", to, err)
		}
	}
	return o.store(c, out)
}
