package study

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
)

// AddTo puts the report's rows into a file of results, which has the columns of study.csv: rows of the same study, scale and
// arm are replaced where they stand, others are added behind. Arms without a finished run are left out. A file that is not
// there is made.
func (r *Report) AddTo(path string) error {
	lines := [][]string{Columns}
	old, err := disk.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		cause, _ := disk.Cause(err)
		return fault.New("%s cannot be read: %w", path, cause)
	default:
		if lines, err = csv.NewReader(bytes.NewReader(old)).ReadAll(); err != nil || len(lines) == 0 || !slices.Equal(lines[0], Columns) {
			return fault.New("%s is no file of studies' results: its first line must be that of study.csv", path)
		}
	}
	for i, record := range r.records() {
		if len(r.Rows[i].Seeds) == 0 {
			continue
		}
		at := slices.IndexFunc(lines, func(line []string) bool { return slices.Equal(line[:3], record[:3]) })
		if at < 0 {
			lines = append(lines, record)
			continue
		}
		lines[at] = record
	}
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(lines); err != nil {
		return err
	}
	if err := disk.WriteFile(path, b.Bytes()); err != nil {
		cause, _ := disk.Cause(err)
		return fmt.Errorf("%s cannot be written: %w", path, fault.New("%w", cause))
	}
	return nil
}
