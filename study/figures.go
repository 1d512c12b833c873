package study

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/runfolder"
	"github.com/locus-learn/locus/record"
)

// figureFiles are the pictures of arms that are diagnosed, as the paper's Figures 2 to 4.
var figureFiles = []string{"agreement.svg", "shift.svg", "curves.svg"}

// figures draws the arms that are diagnosed side by side, by their first seed that is done. A folder may have come from elsewhere
// without its runs' metrics: the report lists the arms that cannot be drawn for that.
func (s *Study) figures(f *runfolder.Folder, rep *Report) error {
	var series []record.Series
	for i := range s.Arms {
		a := &s.Arms[i]
		if a.Config.Diagnose.Every == 0 {
			continue
		}
		drawn, done := false, false
		for _, seed := range s.Seeds {
			c := Cell{a, seed}
			if o, err := c.Outcome(f.Dir); err != nil || o == nil || o.Failed != "" {
				continue
			}
			done = true
			log, err := readLog(filepath.Join(c.Dir(f.Dir), "metrics.jsonl"))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			series = append(series, record.Series{Name: a.Name, Epochs: log.Epochs, Steps: log.Steps, Diagnoses: log.Diagnoses})
			drawn = true
			break
		}
		if done && !drawn {
			rep.Undrawn = append(rep.Undrawn, a.Name)
		}
	}
	if len(series) == 0 {
		return nil
	}
	if err := f.Claim(figureFiles...); err != nil {
		return err
	}
	return record.PlotFigures(f.Dir, series)
}

func readLog(path string) (record.Log, error) {
	f, err := disk.Open(path)
	if err != nil {
		return record.Log{}, err
	}
	defer f.Close()
	return record.ReadJSONL(f)
}
