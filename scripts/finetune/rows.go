package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/internal/sample"
	"github.com/locus-learn/locus/record"
)

// row is what a way brought with a seed.
type row struct {
	Way            string
	Seed           int
	Accuracy, Kept float64 // in percent
	PeakBytes      int64
	SecondsPerStep float64
	Steps          int
}

var columns = []string{"way", "seed", "accuracy", "kept", "peak_mib", "seconds_per_step", "steps"}

func (r row) cells() []string {
	return []string{r.Way, strconv.Itoa(r.Seed), fmt.Sprintf("%.2f", r.Accuracy), fmt.Sprintf("%.2f", r.Kept),
		fmt.Sprintf("%.1f", float64(r.PeakBytes)/(1<<20)), fmt.Sprintf("%.4f", r.SecondsPerStep), strconv.Itoa(r.Steps)}
}

// fileOf is where the row of a way is kept once it is there: a study that was killed does not do it again.
func (s situation) fileOf(a way) string { return filepath.Join(s.out, folderOf(a)+".json") }

func folderOf(a way) string { return strings.NewReplacer(" ", "-", ",", "", "×", "x").Replace(a.name) }

// done returns the row of a way, if it is there.
func (s situation) done(a way) (r row, found bool, err error) {
	text, err := os.ReadFile(s.fileOf(a))
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err == nil, err
}

// keep writes a row, and removes the runs that it is of: their weights are large, and nobody needs them any more.
func (s situation) keep(a way, r row) error {
	if err := record.WriteJSON(s.fileOf(a), r); err != nil {
		return err
	}
	runs := []string{filepath.Join(s.out, folderOf(a))}
	for epoch := range *tuning {
		runs = append(runs, turn(runs[0], epoch))
	}
	for _, dir := range runs {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// elsewhere are the flags that change no row.
var elsewhere = []string{"out", "only", "dry", "seeds", "first", "data", "threads", "timed"}

// sameStudy returns an error if -out holds a study with other flags.
func sameStudy() error {
	var all []string
	flag.VisitAll(func(f *flag.Flag) {
		if !slices.Contains(elsewhere, f.Name) {
			all = append(all, "-"+f.Name+"="+f.Value.String())
		}
	})
	now := strings.Join(all, "\n") + "\n"
	path := filepath.Join(*out, "flags.txt")
	before, err := os.ReadFile(path)
	switch {
	case err == nil && string(before) != now:
		return fmt.Errorf("%s holds a study with other flags (%s): -out must name another folder", *out, path)
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(now), 0o644)
}

// summarise writes means and standard deviations over the seeds of each way, as results/fine-tuning.csv has them.
func summarise(rows []row) error {
	f, err := os.Create(filepath.Join(*out, "summary.csv"))
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	_ = w.Write([]string{"way", "rate", "accuracy", "accuracy_spread", "kept", "kept_spread", "peak_mib", "time_over_bp", "seconds_per_step", "steps", "n", "seed"})
	mean := func(of []row, value func(row) float64) sample.Sample {
		var all []float64
		for _, r := range of {
			all = append(all, value(r))
		}
		return sample.Of(all)
	}
	seconds := func(r row) float64 { return r.SecondsPerStep }
	byWay := map[string][]row{}
	for _, r := range rows {
		byWay[r.Way] = append(byWay[r.Way], r)
	}
	bp := mean(byWay["bp"], seconds)
	for _, a := range ways() {
		of := byWay[a.name]
		if len(of) == 0 {
			continue
		}
		var seeds []string
		for _, r := range of {
			seeds = append(seeds, strconv.Itoa(r.Seed))
		}
		accuracy, kept := mean(of, func(r row) float64 { return r.Accuracy }), mean(of, func(r row) float64 { return r.Kept })
		peak := mean(of, func(r row) float64 { return float64(r.PeakBytes) / (1 << 20) })
		time := mean(of, seconds)
		_ = w.Write([]string{a.name, fmt.Sprint(*rate), one(accuracy.Mean), one(accuracy.SD), one(kept.Mean), one(kept.SD), one(peak.Mean),
			fmt.Sprintf("%.2f", time.Mean/bp.Mean), fmt.Sprintf("%.3f", time.Mean), strconv.Itoa(of[0].Steps), strconv.Itoa(len(of)), strings.Join(seeds, " ")})
	}
	w.Flush()
	return w.Error()
}

func one(v float64) string { return fmt.Sprintf("%.1f", v) }
