package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/locus-learn/locus/internal/sample"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/record"
)

// level of the intervals in table.csv.
const level = 0.95

func accuracy(r Run) float64 { return r.Summary.Final() }

// measure names what runs are compared by. Different ones stand side by side, for the reader to see.
func (g Grouping) measure() string {
	var all []string
	for _, group := range g.Groups {
		for _, r := range group.Runs {
			if m := r.Summary.MeasuredBy(); !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, " or ")
}

func peak(r Run) float64     { return float64(r.Summary.PeakBytes) / (1 << 20) }
func resting(r Run) float64  { return float64(r.Summary.RestingBytes) / (1 << 20) }
func stepTime(r Run) float64 { return r.Summary.SecondsPerStep }
func (g Group) subset() bool {
	return slices.ContainsFunc(g.Runs, func(r Run) bool { return r.Summary.Subset })
}

// depth sums up the accuracy of each head over the runs, nil where they have different numbers of heads.
func (g Group) depth() []sample.Sample {
	var all []sample.Sample
	n := len(heads(g.Runs[0]))
	for k := range n {
		var values []float64
		for _, r := range g.Runs {
			if len(heads(r)) != n {
				return nil
			}
			values = append(values, heads(r)[k])
		}
		all = append(all, sample.Of(values))
	}
	return all
}

// heads are the accuracies of a run's modules: of linear probes where training used no labels and there are some.
func heads(r Run) []float64 {
	if len(r.Summary.ProbeAcc) > 0 {
		return r.Summary.ProbeAcc
	}
	return r.Summary.ModuleAcc
}

// constant writes a quantity that repeats exactly in all runs as one number, and any other as mean ± standard deviation.
func constant(s sample.Sample, digits int) string {
	if s.SD == 0 {
		return strconv.FormatFloat(s.Mean, 'f', digits, 64)
	}
	return s.Text(digits)
}

// means writes the mean accuracy of each head.
func means(all []sample.Sample) string {
	var out []string
	for _, s := range all {
		out = append(out, sample.Sample{N: min(s.N, 1), Mean: s.Mean}.Text(1))
	}
	if len(out) == 0 {
		return "–"
	}
	return strings.Join(out, " ")
}

// rows are what tables for people show.
func (g Grouping) rows() (header []string, rows [][]string) {
	for _, key := range g.By {
		header = append(header, strings.TrimSuffix(key, ".name"))
	}
	header = append(header, "n", "heads, %", "last head, %", "peak, MiB", "resting, MiB", "s/step")
	for _, row := range g.Groups {
		cells := slices.Clone(row.Values)
		for i := range cells {
			cells[i] = show.Line(cells[i])
		}
		if row.subset() {
			cells[0] += " *"
		}
		rows = append(rows, append(cells, strconv.Itoa(len(row.Runs)), means(row.depth()), row.of(accuracy).Text(2),
			constant(row.of(peak), 1), constant(row.of(resting), 1), row.of(stepTime).Text(3)))
	}
	return header, rows
}

// notes explain the table under it.
func (g Grouping) notes() []string {
	notes := []string{record.Titled(g.measure()) + " is that of the test set: mean ± standard deviation over n runs, which differ in their seeds."}
	if slices.ContainsFunc(g.Groups, Group.subset) {
		notes = append(notes, "* on a subset of the data: not comparable with published numbers.")
	}
	return notes
}

// Markdown renders the table without a final newline.
func (g Grouping) Markdown() string { return g.writer().RenderMarkdown() }

// Plain renders the table for a terminal without a final newline.
func (g Grouping) Plain() string {
	w := g.writer()
	w.SetStyle(table.StyleDefault)
	w.Style().Format.Header = text.FormatDefault
	return w.Render()
}

func (g Grouping) writer() table.Writer {
	header, rows := g.rows()
	w := table.NewWriter()
	cells := func(from []string) table.Row {
		var row table.Row
		for _, c := range from {
			row = append(row, c)
		}
		return row
	}
	w.AppendHeader(cells(header))
	for _, r := range rows {
		w.AppendRow(cells(r))
	}
	var columns []table.ColumnConfig
	for i := len(g.By) + 1; i <= len(header); i++ {
		columns = append(columns, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	// Sixteen heads would make a row too wide for a terminal.
	columns[1].WidthMax, columns[1].WidthMaxEnforcer = 40, text.WrapSoft
	w.SetColumnConfigs(columns)
	return w
}

// CSV writes a line a group with all digits, bytes and seconds, and the interval of the accuracy.
func (g Grouping) CSV() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write(append(slices.Clone(g.By), "n", "seeds", "accuracy_mean", "accuracy_sd", "accuracy_low95", "accuracy_high95",
		"module_acc_mean", "module_acc_sd", "peak_bytes", "resting_bytes", "step_seconds_mean", "step_seconds_sd", "subset", "runs"))
	for _, row := range g.Groups {
		acc, time := row.of(accuracy), row.of(stepTime)
		low, high := acc.Interval(level)
		var means, sds, dirs []string
		for _, s := range row.depth() {
			means, sds = append(means, digits(s.Mean)), append(sds, digits(s.SD))
		}
		for _, r := range row.Runs {
			dirs = append(dirs, r.Dir)
		}
		w.Write(append(slices.Clone(row.Values), strconv.Itoa(len(row.Runs)), row.seeds(), digits(acc.Mean), digits(acc.SD), digits(low), digits(high),
			strings.Join(means, " "), strings.Join(sds, " "), bytesOf(row, peak), bytesOf(row, resting),
			digits(time.Mean), digits(time.SD), strconv.FormatBool(row.subset()), strings.Join(dirs, ";")))
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// bytesOf is the most that a run of the group took.
func bytesOf(g Group, mebibytes func(Run) float64) string {
	most := 0.0
	for _, r := range g.Runs {
		most = max(most, mebibytes(r))
	}
	return strconv.FormatInt(int64(most*(1<<20)), 10)
}

// digits writes a number so that it comes back the same, and nothing for NaN.
func digits(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// symbols are how a paper writes keys.
var symbols = map[string]string{
	"method.name": "method", "model.name": "network", "head.name": "head", "data.set": "data", "optim.name": "optimizer",
	"method.lambda": `$\lambda$`, "method.modules": "$K$", "optim.lr": `$\eta$`, "schedule.epochs": "epochs",
}

// TeX writes the table as a tabular of the package booktabs.
func (g Grouping) TeX() string {
	var b strings.Builder
	b.WriteString("% Needs \\usepackage{booktabs}.\n")
	fmt.Fprintf(&b, "\\begin{tabular}{%s}\n\\toprule\n", strings.Repeat("l", len(g.By))+strings.Repeat("r", 4))
	var header []string
	for _, key := range g.By {
		name, ok := symbols[key]
		if !ok {
			name = `\texttt{` + escape(key) + `}`
		}
		header = append(header, name)
	}
	header = append(header, "$n$", g.measure()+` (\%)`, "peak (MiB)", "step (s)")
	b.WriteString(strings.Join(header, " & ") + " \\\\\n\\midrule\n")
	for _, row := range g.Groups {
		var cells []string
		for _, v := range row.Values {
			cells = append(cells, escape(v))
		}
		cells = append(cells, strconv.Itoa(len(row.Runs)), mathematics(row.of(accuracy).Text(2)), mathematics(constant(row.of(peak), 1)),
			mathematics(row.of(stepTime).Text(3)))
		b.WriteString(strings.Join(cells, " & ") + " \\\\\n")
	}
	b.WriteString("\\bottomrule\n\\end{tabular}\n")
	for _, note := range g.notes() {
		b.WriteString("% " + note + "\n")
	}
	return b.String()
}

// mathematics sets a number with its spread.
func mathematics(text string) string {
	if text == "–" {
		return "--"
	}
	return "$" + strings.ReplaceAll(text, " ± ", ` \pm `) + "$"
}

var escape = strings.NewReplacer(`\`, `\textbackslash{}`, "_", `\_`, "%", `\%`, "&", `\&`, "#", `\#`, "$", `\$`, "{", `\{`, "}", `\}`,
	"~", `\textasciitilde{}`, "^", `\textasciicircum{}`, "\n", " ").Replace
