package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
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
	return []string{r.Way, strconv.Itoa(r.Seed), figure(2, r.Accuracy), figure(2, r.Kept),
		figure(1, float64(r.PeakBytes)/(1<<20)), figure(4, r.SecondsPerStep), strconv.Itoa(r.Steps)}
}

// fileOf is where the row of a way is kept once it is there: a study that was killed does not do it again.
func (s situation) fileOf(a way) string { return filepath.Join(s.out, folderOf(a)+".json") }

func folderOf(a way) string { return strings.NewReplacer(" ", "-", ",", "", "×", "x").Replace(a.name) }

// readRows reads the rows of the network from a file in the form of results/fine-tuning-rows.csv. Without a file there are none.
func readRows(path string) (rows []row, err error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s: is empty, and must have a line that names its columns", path)
	}
	place := map[string]int{}
	for i, name := range lines[0] {
		place[name] = i
	}
	for _, name := range append([]string{"model"}, columns...) {
		if _, ok := place[name]; !ok {
			return nil, fmt.Errorf("%s: has no column %q", path, name)
		}
	}
	for n, line := range lines[1:] {
		if line[place["model"]] != *network {
			continue
		}
		number := func(column string) (v float64) {
			cell := line[place[column]]
			if cell == "" && column == "seconds_per_step" { // not every machine was quiet enough
				return math.NaN()
			}
			v, wrong := strconv.ParseFloat(cell, 64)
			if wrong != nil && err == nil {
				err = fmt.Errorf("%s line %d: %s is %q, and must be a number", path, n+2, column, cell)
			}
			return v
		}
		rows = append(rows, row{
			Way: line[place["way"]], Seed: int(number("seed")), Accuracy: number("accuracy"), Kept: number("kept"),
			PeakBytes: int64(number("peak_mib") * (1 << 20)), SecondsPerStep: number("seconds_per_step"), Steps: int(number("steps")),
		})
	}
	return rows, err
}

// done returns the row of a way, if it is there.
func (s situation) done(a way) (r row, found bool, err error) {
	for _, r := range s.landed {
		if r.Way == a.name && r.Seed == s.seed {
			return r, true, nil
		}
	}
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

// without are the flags that change no row.
var without = []string{"out", "done", "only", "sum", "dry", "seeds", "first", "data", "threads", "timed"}

// sameStudy returns an error if -out holds a study with other flags.
func sameStudy() error {
	var all []string
	flag.VisitAll(func(f *flag.Flag) {
		if !slices.Contains(without, f.Name) {
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

// summarise writes means and standard deviations over the seeds of each way, as results/fine-tuning-photos.csv has them. A
// difference is that of accuracy to back-propagation, paired by seed, with its 95 % interval from three seeds on.
func summarise(rows []row) error {
	f, err := os.Create(filepath.Join(*out, "summary.csv"))
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	_ = w.Write([]string{"way", "rate", "accuracy", "accuracy_spread", "difference", "difference_low", "difference_high", "kept", "kept_spread", "peak_mib", "time_over_bp", "seconds_per_step", "steps", "n", "seed"})
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
		difference := sample.Of(sample.Differences(bySeed(of), bySeed(byWay["bp"])))
		low, high := difference.Interval(0.95)
		if difference.N < 3 { // accuracies have steps, so that two may agree by chance
			low, high = math.NaN(), math.NaN()
		}
		if a.name == "bp" {
			difference.Mean, low, high = math.NaN(), math.NaN(), math.NaN()
		}
		_ = w.Write([]string{a.name, fmt.Sprint(*rate), figure(1, accuracy.Mean), figure(1, accuracy.SD),
			figure(1, difference.Mean), figure(1, low), figure(1, high), figure(1, kept.Mean), figure(1, kept.SD), figure(1, peak.Mean),
			figure(2, time.Mean/bp.Mean), figure(3, time.Mean), strconv.Itoa(of[0].Steps), strconv.Itoa(len(of)), strings.Join(seeds, " ")})
	}
	w.Flush()
	return w.Error()
}

func bySeed(rows []row) map[int]float64 {
	all := map[int]float64{}
	for _, r := range rows {
		all[r.Seed] = r.Accuracy
	}
	return all
}

// figure is a number with so many decimals, or nothing where there is none.
func figure(decimals int, v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}
