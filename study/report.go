package study

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/sample"
)

// level of the intervals in a report.
const level = 0.95

// Report is what a study has come to so far.
type Report struct {
	Study   *Study
	Rows    []Row
	Left    int      // cells that are not done
	Undrawn []string // arms that are diagnosed and not in the pictures: their runs have no metrics.jsonl
	Others  []string // runs with results in the folder that are not the study's, or not any more
}

// Row sums up an arm. Accuracies are percent.
type Row struct {
	Arm        *Arm
	Metric     sample.Sample // what arms are compared by
	Difference sample.Sample // of the metric to the baseline's, paired by seed
	Last, Best sample.Sample // heads
	Seconds    sample.Sample // of training
	PeakBytes  int64         // the most of a run
	PFLOP      float64       // of a run
	Failed     []string      // why runs have failed, in the order of their seeds
	Left       int           // cells that are not done
	Seeds      []uint64      // that are in
	Commit     string        // of the runs, as many as there are
	Machine    string
}

// Summarise reads the outcomes in a study's folder.
func Summarise(s *Study, out string) (*Report, error) {
	all := map[*Arm][]*Outcome{}
	data := samples{}
	for _, c := range s.Cells() {
		o, err := c.Outcome(out)
		if err == nil && o != nil {
			all[c.Arm] = append(all[c.Arm], o)
			err = data.add(c.Arm, c.Name(), c.Seed, o.Summary.Data)
		}
		if err != nil {
			return nil, err
		}
	}
	rep, err := s.report(all)
	if err == nil {
		rep.Others, err = s.others(out)
	}
	return rep, err
}

// others lists the runs with results in a study's folder that are not among its cells.
func (s *Study) others(out string) (names []string, err error) {
	own := map[string]bool{}
	for _, c := range s.Cells() {
		own[c.outcomeFile(out)] = true
	}
	arms, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, arm := range arms {
		entries, _ := os.ReadDir(filepath.Join(out, arm.Name())) // what is no folder has none
		for _, e := range entries {
			name := filepath.Join(arm.Name(), e.Name())
			if result, ok := strings.CutSuffix(name, ".json"); ok && strings.HasPrefix(e.Name(), "seed-") && !own[filepath.Join(out, name)] {
				names = append(names, filepath.ToSlash(result))
			}
		}
	}
	return names, err
}

// report puts outcomes together.
func (s *Study) report(all map[*Arm][]*Outcome) (*Report, error) {
	rep := &Report{Study: s}
	for i := range s.Arms {
		a := &s.Arms[i]
		row := s.row(a, all[a])
		base, err := s.arm(a.Baseline, "baseline")
		if err != nil {
			return nil, err
		}
		if a != base {
			row.Difference = sample.Of(sample.Differences(s.values(all[a]), s.values(all[base])))
		}
		row.Left = len(s.Seeds) - len(all[a])
		rep.Left += row.Left
		rep.Rows = append(rep.Rows, row)
	}
	return rep, nil
}

// values are the metric of finished runs by their seeds.
func (s *Study) values(outcomes []*Outcome) map[uint64]float64 {
	values := map[uint64]float64{}
	for _, o := range outcomes {
		if o.Failed == "" {
			values[o.Seed] = s.Metric.of(o.Summary)
		}
	}
	return values
}

func (s *Study) row(a *Arm, outcomes []*Outcome) Row {
	row := Row{Arm: a}
	var metric, last, most, seconds []float64
	var commits, machines []string
	for _, o := range outcomes {
		if o.Failed != "" {
			row.Failed = append(row.Failed, o.Failed)
			continue
		}
		row.Seeds = append(row.Seeds, o.Seed)
		metric, last, most = append(metric, s.Metric.of(o.Summary)), append(last, o.Summary.TestAcc), append(most, best(o.Summary))
		seconds = append(seconds, o.Summary.Seconds)
		row.PeakBytes, row.PFLOP = max(row.PeakBytes, o.Summary.PeakBytes), max(row.PFLOP, o.PFLOP)
		for _, commit := range strings.Split(o.Commit, "; ") {
			commits = add(commits, short(commit))
		}
		for _, machine := range strings.Split(o.Machine, "; ") {
			machines = add(machines, machine)
		}
	}
	row.Metric, row.Last, row.Best, row.Seconds = sample.Of(metric), sample.Of(last), sample.Of(most), sample.Of(seconds)
	row.Commit, row.Machine = strings.Join(commits, "; "), strings.Join(machines, "; ")
	return row
}

// short is a commit as people write it; what stands behind it stays.
func short(commit string) string {
	hash, changes, _ := strings.Cut(commit, " ")
	return strings.TrimSpace(hash[:min(len(hash), 7)] + " " + changes)
}

// add appends what is not there yet.
func add(list []string, item string) []string {
	if item == "" || slices.Contains(list, item) {
		return list
	}
	return append(list, item)
}

// Verdict says in a sentence what an arm's runs show beside the baseline's.
func (r *Report) Verdict(row Row) string {
	text := r.comparison(row)
	if b := row.Arm.Baseline; b != r.Study.Baseline && b != row.Arm.Name && row.Difference.N > 0 {
		text += ", beside " + b
	}
	if n := len(row.Failed); n > 0 {
		text += fmt.Sprintf("; %d of %d runs failed: %s", n, n+len(row.Seeds), row.Failed[0])
	}
	return text
}

func (r *Report) comparison(row Row) string {
	d := row.Difference
	switch low, high := d.Interval(level); {
	case row.Arm.Name == row.Arm.Baseline && len(row.Seeds) > 0:
		return "the baseline"
	case len(row.Seeds)+len(row.Failed) == 0:
		return "not run yet"
	case len(row.Seeds) == 0:
		return "no run came to its end"
	case d.N == 0:
		return "not compared: no seed that the baseline has, too"
	case d.N == 1:
		return fmt.Sprintf("%s in one seed, which shows nothing by itself", points(d.Mean))
	case low > 0, high < 0:
		return fmt.Sprintf("%s ± %.1f points, n = %d", strings.TrimSuffix(points(d.Mean), " points"), d.Half(level), d.N)
	default:
		return fmt.Sprintf("no difference shown: interval %s…%s, n = %d", signed(low), signed(high), d.N)
	}
}

// points says a difference in words.
func points(d float64) string {
	switch {
	case math.Abs(d) < 0.05:
		return "level"
	case d > 0:
		return fmt.Sprintf("ahead by %.1f points", d)
	}
	return fmt.Sprintf("behind by %.1f points", -d)
}

// signed writes a number with a proper minus sign.
func signed(v float64) string {
	return strings.Replace(fmt.Sprintf("%.1f", v), "-", "−", 1)
}
