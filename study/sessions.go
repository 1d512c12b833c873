package study

import (
	"path/filepath"
	"strconv"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/record"
)

// sessions is the folder for TensorBoard's HParams plugin: a folder a cell that is done, and nothing of the runs themselves.
const sessions = "hparams"

// session writes what a cell was set to and what it came to. Cells of an arm make a group.
func (c Cell) session(out string, o *Outcome) error {
	dir := filepath.Join(out, sessions, filepath.FromSlash(c.Name()))
	if err := disk.MkdirAll(dir); err != nil {
		cause, _ := disk.Cause(err)
		return fault.New("%s cannot be made: %w", dir, cause)
	}
	h := record.HParams{Group: c.Arm.Name, Failed: o.Failed != ""}
	for _, p := range c.params() {
		if number, err := strconv.ParseFloat(p.Value, 64); err == nil {
			h.Values = append(h.Values, record.HParam{Name: p.Key, Number: number})
		} else {
			h.Values = append(h.Values, record.HParam{Name: p.Key, Text: p.Value})
		}
	}
	if o.Failed == "" {
		h.Metrics = []record.Metric{
			{Tag: "study/last_head", Value: o.Summary.TestAcc}, {Tag: "study/best_head", Value: best(o.Summary)}, {Tag: "study/seconds", Value: o.Summary.Seconds},
		}
	}
	return record.WriteHParams(dir, h)
}
