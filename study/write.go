package study

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/locus-learn/locus/internal/runfolder"
	"github.com/locus-learn/locus/internal/sample"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/record"
)

// write stores the report in the study's folder as study.md, study.csv and, once a run is done, study.svg.
func (r *Report) write(f *runfolder.Folder) error {
	text, err := r.CSV()
	if err != nil {
		return err
	}
	if err := write(f, tableFile, text); err != nil {
		return err
	}
	if err := write(f, reportFile, []byte(r.Markdown())); err != nil {
		return err
	}
	if r.done() == 0 {
		return nil
	}
	if err := f.Claim(plotFile); err != nil {
		return err
	}
	return record.PlotBars(f.Path(plotFile), r.bars())
}

func (r *Report) done() (n int) {
	for _, row := range r.Rows {
		n += len(row.Seeds)
	}
	return n
}

// Table has a row an arm: what it came to, what the paper has, and what it took.
func (r *Report) Table() table.Writer {
	w := table.NewWriter()
	w.AppendHeader(table.Row{"arm", "n", r.Study.Metric.String() + ", %", "95 % interval", "difference to its baseline", "best head, %", "paper, %", "time", "peak, MiB", "PFLOP"})
	for _, row := range r.Rows {
		w.AppendRow(table.Row{
			show.Name(row.Arm.Name), r.count(row), row.Metric.Text(2), interval(row.Metric), difference(row.Difference), row.Best.Text(2),
			orDash(row.Arm.Paper, 2), took(row.Seconds), mebibytes(row.PeakBytes), arithmetic(row.PFLOP),
		})
	}
	return w
}

// count says how many runs are in, of how many where some are not.
func (r *Report) count(row Row) string {
	if n := len(row.Seeds); n < len(r.Study.Seeds) {
		return fmt.Sprintf("%d of %d", n, len(r.Study.Seeds))
	}
	return strconv.Itoa(len(row.Seeds))
}

func interval(s sample.Sample) string {
	if s.N < 2 {
		return "–"
	}
	low, high := s.Interval(level)
	return strings.ReplaceAll(fmt.Sprintf("%.2f…%.2f", low, high), "-", "−")
}

func difference(d sample.Sample) string {
	switch d.N {
	case 0:
		return "–"
	case 1:
		return strings.Replace(fmt.Sprintf("%+.2f", d.Mean), "-", "−", 1)
	}
	low, high := d.Interval(level)
	return strings.ReplaceAll(fmt.Sprintf("%+.2f (%+.2f…%+.2f)", d.Mean, low, high), "-", "−")
}

func orDash(v float64, digits int) string {
	if v == 0 || math.IsNaN(v) {
		return "–"
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

// arithmetic writes PFLOP, which small nets take few of.
func arithmetic(pflop float64) string {
	if pflop == 0 {
		return "–"
	}
	return strconv.FormatFloat(pflop, 'g', 3, 64)
}

func took(s sample.Sample) string {
	if s.N == 0 {
		return "–"
	}
	return time.Duration(s.Mean * float64(time.Second)).Round(time.Second).String()
}

func mebibytes(n int64) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", float64(n)/(1<<20))
}

// Markdown is the whole report: the table, a verdict an arm, and where the runs took place.
func (r *Report) Markdown() string {
	var b strings.Builder
	s := r.Study
	fmt.Fprintf(&b, "# %s\n\n", s.title())
	if s.About != "" {
		fmt.Fprintf(&b, "%s\n\n", s.About)
	}
	if r.Left > 0 {
		fmt.Fprintf(&b, "**%d of %d runs are not done.** The same command goes on with them.\n\n", r.Left, len(s.Arms)*len(s.Seeds))
	}
	fmt.Fprintf(&b, "%s\n\n", r.Table().RenderMarkdown())
	b.WriteString(r.notes() + "\n\n")
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "- **%s**: %s.\n", show.Name(row.Arm.Name), r.Verdict(row))
	}
	b.WriteString("\n")
	for _, text := range r.Missing() {
		fmt.Fprintf(&b, "%s.\n\n", text)
	}
	for _, line := range r.origins() {
		fmt.Fprintf(&b, "%s\n", line)
	}
	return b.String()
}

// Missing says, in lines, what is in the study's folder and not in the report, or not in its pictures.
func (r *Report) Missing() (lines []string) {
	for _, each := range []struct {
		what  string
		names []string
	}{
		{"Not in the pictures, as their runs have no metrics.jsonl here: ", r.Undrawn},
		{"Not in the report, as the study asked for has no such runs: ", r.Others},
	} {
		if len(each.names) > 0 {
			lines = append(lines, each.what+show.Names(each.names, 12))
		}
	}
	return lines
}

// notes say how to read the table.
func (r *Report) notes() string {
	return "Accuracies are mean ± standard deviation. Intervals are of the mean at 95 %, by Student's t; differences are paired by\n" +
		"seed. The baseline is " + show.Name(r.Study.Baseline) + " unless a verdict names another. Each interval is for one comparison. " +
		"`PFLOP` counts the\nproducts of network and heads in one run, forward and back. The paper's figures are those of its full schedule."
}

func (s *Study) title() string {
	if s.Scale == "" {
		return s.Name
	}
	return s.Name + ", " + s.Scale
}

// origins says which commits and machines made the runs, and what was run.
func (r *Report) origins() []string {
	var commits, machines []string
	for _, row := range r.Rows {
		commits, machines = add(commits, row.Commit), add(machines, row.Machine)
	}
	lines := []string{"Run with `" + r.command() + "`."}
	if len(commits) > 0 {
		lines = append(lines, "Commit "+strings.Join(commits, "; ")+".")
	}
	if len(machines) > 0 {
		lines = append(lines, "Machine: "+strings.Join(machines, "; ")+".")
	}
	return lines
}

func (r *Report) command() string {
	command := "locus study " + r.Study.Name
	if r.Study.Scale != "" {
		command += " --scale " + r.Study.Scale
	}
	return command
}

// bars draws a bar an arm, with the interval of its mean as a whisker.
func (r *Report) bars() record.Bars {
	chart := record.Bars{
		Title: r.Study.title(), Axis: "test accuracy (%), whiskers: 95 % interval of the mean", Parts: []string{r.Study.Metric.String()}, Full: 100,
	}
	for _, row := range r.Rows {
		b := record.Bar{Name: show.Name(row.Arm.Name), Label: row.Metric.Text(1), Parts: []float64{0}}
		if row.Metric.N > 0 {
			b.Parts[0] = row.Metric.Mean
		}
		if row.Metric.N > 1 {
			b.Low, b.High = row.Metric.Interval(level)
			b.Low, b.High = max(b.Low, 0), min(b.High, 100)
		}
		chart.Bars = append(chart.Bars, b)
	}
	return chart
}

// Columns of study.csv. Those from command on are the ones that every file of results has.
var Columns = []string{
	"study", "scale", "arm", "metric", "mean", "sd", "low", "high", "difference", "difference_low", "difference_high", "pairs",
	"last_head", "best_head", "failed", "left", "paper", "seconds", "peak_mib", "pflop", "verdict", "command", "commit", "machine", "n", "seed",
}

// CSV has the rows of the report with all their figures; what is not known is empty.
func (r *Report) CSV() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.Write(Columns); err != nil {
		return nil, err
	}
	if err := w.WriteAll(r.records()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (r *Report) records() (lines [][]string) {
	number := func(v float64, digits int) string {
		if math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'f', digits, 64)
	}
	for _, row := range r.Rows {
		low, high := row.Metric.Interval(level)
		dlow, dhigh := row.Difference.Interval(level)
		diff, paper := row.Difference.Mean, row.Arm.Paper
		if row.Difference.N == 0 {
			diff = math.NaN()
		}
		if paper == 0 {
			paper = math.NaN()
		}
		var seeds []string
		for _, s := range row.Seeds {
			seeds = append(seeds, strconv.FormatUint(s, 10))
		}
		lines = append(lines, []string{
			r.Study.Name, r.Study.Scale, row.Arm.Name, string(r.Study.Metric), number(row.Metric.Mean, 2), number(row.Metric.SD, 2),
			number(low, 2), number(high, 2), number(diff, 2), number(dlow, 2), number(dhigh, 2), strconv.Itoa(row.Difference.N),
			number(row.Last.Mean, 2), number(row.Best.Mean, 2), strconv.Itoa(len(row.Failed)), strconv.Itoa(row.Left), number(paper, 2),
			number(row.Seconds.Mean, 0), number(float64(row.PeakBytes)/(1<<20), 1), strconv.FormatFloat(row.PFLOP, 'g', 4, 64), r.Verdict(row),
			r.command(), row.Commit, row.Machine, strconv.Itoa(len(row.Seeds)), strings.Join(seeds, " "),
		})
	}
	return lines
}
