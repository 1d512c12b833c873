package record

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/internal/terminal"
)

// Table compares finished runs, a row each, in their order.
type Table []Summary

// Plain renders the table in ASCII, without a final newline, for files and pipes.
func (t Table) Plain() string {
	w := t.writer(0)
	w.SetStyle(table.StyleDefault)
	w.Style().Format.Header = text.FormatDefault
	return w.Render()
}

// Terminal renders the table with box-drawing characters and the best accuracy in bold, without a final newline. Cells break
// where lines would have more than so many characters; 0 is any number.
func (t Table) Terminal(columns int) string {
	w := t.writer(columns)
	w.SetStyle(table.StyleRounded)
	w.Style().Format.Header = text.FormatDefault
	if best := t.best(); best >= 0 {
		row := -1
		w.SetRowPainter(func(table.Row) text.Colors {
			if row++; row == best {
				return text.Colors{text.Bold}
			}
			return nil
		})
	}
	return w.Render()
}

// Markdown renders the table for a README or an issue, without a final newline.
func (t Table) Markdown() string { return t.writer(0).RenderMarkdown() }

func (t Table) writer(most int) table.Writer {
	w := table.NewWriter()
	names := t.scores()
	header := table.Row{"method", "heads, %", "last head, %", "peak, MiB", "resting, MiB", "s/step", "time"}
	for _, name := range names {
		header = append(header, name)
	}
	w.AppendHeader(header)
	var columns []table.ColumnConfig
	for i := 3; i <= len(header); i++ {
		columns = append(columns, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	// Sixteen heads would make a row too wide for a terminal.
	columns = append(columns, table.ColumnConfig{Number: 2, WidthMax: 40, WidthMaxEnforcer: text.WrapSoft})
	cells := [][]string{texts(header)}
	for _, s := range t {
		row := table.Row{
			t.label(s), heads(s), percent(s.Final(), 2), mebibytes(s.PeakBytes), mebibytes(s.RestingBytes),
			fmt.Sprintf("%.3g", s.SecondsPerStep), seconds(s.Seconds).String(),
		}
		for _, name := range names {
			row = append(row, s.Scores.last(name))
		}
		w.AppendRow(row)
		cells = append(cells, texts(row))
	}
	terminal.Fit(w, cells, columns, most)
	if slices.ContainsFunc(t, func(s Summary) bool { return s.Subset }) {
		w.SetCaption("* on a subset of the data: not comparable with published numbers")
	}
	return w
}

func texts(row table.Row) (cells []string) {
	for _, cell := range row {
		cells = append(cells, fmt.Sprint(cell))
	}
	return cells
}

// scores names what else some run's heads were measured by; there is a column for each.
func (t Table) scores() []string {
	all := Scores{}
	for _, s := range t {
		maps.Copy(all, s.Scores)
	}
	return all.names()
}

// last writes a measure of the last head.
func (s Scores) last(name string) string {
	values := s[name]
	if len(values) == 0 || math.IsNaN(values[len(values)-1]) {
		return "–"
	}
	return strconv.FormatFloat(values[len(values)-1], 'g', 4, 64)
}

// heads are the accuracies of a run's heads or, where training used no labels, of the linear probes behind its modules; of
// their nearest neighbours where there was no probe.
func heads(s Summary) string {
	switch {
	case len(s.ProbeAcc) > 0:
		return joinPercent(s.ProbeAcc) + " (probe)"
	case s.KNN:
		return joinPercent(s.ModuleAcc) + " (k-NN)"
	case s.Measure != "":
		return joinPercent(s.ModuleAcc) + " (" + s.Measure + ")"
	}
	return joinPercent(s.ModuleAcc)
}

// Final is the accuracy that runs are compared by: of the last head or, where training used no labels, of the last probe.
func (s Summary) Final() float64 {
	if n := len(s.ProbeAcc); n > 0 {
		return s.ProbeAcc[n-1]
	}
	return s.TestAcc
}

// Names returns what the runs are called in the table: each by its method, or by its own name where another run has the same.
func (t Table) Names() []string {
	var names []string
	for _, s := range t {
		s.Subset = false // a note below the table
		names = append(names, t.label(s))
	}
	return names
}

// label names a run by its method, or by its own name where another run has the same method.
func (t Table) label(s Summary) string {
	label := s.Method
	for _, other := range t {
		if other.Method == s.Method && other.Name != s.Name {
			label = show.Name(s.Name)
		}
	}
	if s.Subset {
		label += " *"
	}
	return label
}

// best is the row of the highest accuracy; -1 if no other row stands beside it or all are NaN.
func (t Table) best() int {
	best, at := -1.0, -1
	for i, s := range t {
		if acc := s.Final(); acc > best {
			best, at = acc, i
		}
	}
	if len(t) < 2 {
		return -1
	}
	return at
}
