package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	gotext "github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/internal/terminal"
)

func isTerminal(w io.Writer) bool { return terminal.Is(w) }

// plainWidth is how wide text is where there is no terminal to ask.
const plainWidth = 100

// columns is how many characters a line of w has.
func columns(w io.Writer) int {
	return cmp.Or(terminal.Columns(w), plainWidth)
}

// wrapped breaks text into lines of at most so many characters, each after an indent, between words where that is possible.
func wrapped(text, indent string, width int) string {
	return indent + strings.ReplaceAll(gotext.WrapSoft(text, max(20, width-len(indent))), "\n", "\n"+indent)
}

// warn returns a function that prints warnings of a command.
func warn(cmd *cobra.Command) func(string) {
	return func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), "warning:", show.Line(text)) }
}

// printColumns aligns rows whose cells are separated by tabs. The last cell of a row breaks where a terminal's line ends.
func printColumns(w io.Writer, rows []string) error {
	const between = 2
	var cells [][]string
	for _, row := range rows {
		of := strings.Split(row, "\t")
		for i := range of {
			of[i] = show.Line(of[i])
		}
		cells = append(cells, of)
	}
	t := tabwriter.NewWriter(w, 0, 0, between, ' ', 0)
	for _, row := range terminal.Hang(cells, terminal.Columns(w), between) {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// printTable prints a table in the style of record.Table; columns from the number right on are aligned right. On a terminal it
// is no wider than a line.
func printTable(w io.Writer, header table.Row, rows []table.Row, right int) error {
	t := table.NewWriter()
	t.SetStyle(table.StyleDefault)
	if isTerminal(w) {
		t.SetStyle(table.StyleRounded)
	}
	t.Style().Format.Header = gotext.FormatDefault
	var configs []table.ColumnConfig
	for i := right; i <= len(header); i++ {
		configs = append(configs, table.ColumnConfig{Number: i, Align: gotext.AlignRight, AlignHeader: gotext.AlignRight})
	}
	t.AppendHeader(header)
	cells := [][]string{texts(header)}
	for _, row := range rows {
		for i, cell := range row {
			if text, ok := cell.(string); ok {
				row[i] = show.Line(text)
			}
		}
		t.AppendRow(row)
		cells = append(cells, texts(row))
	}
	terminal.Fit(t, cells, configs, terminal.Columns(w))
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

func texts(row table.Row) (cells []string) {
	for _, cell := range row {
		cells = append(cells, fmt.Sprint(cell))
	}
	return cells
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// percent writes an accuracy; heads that give no answer have none.
func percent(x float64) string {
	if math.IsNaN(x) {
		return "–"
	}
	return fmt.Sprintf("%.2f", x)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }

// duration rounds seconds to what is worth reading.
func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// shellWord quotes text for a command line that a user may copy.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./,:=@%", c)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// turns returns a function that shows how much is done: on one line of a terminal, elsewhere a line each quarter.
func turns(w io.Writer) func(done, total int) {
	terminal, quarter := isTerminal(w), 0
	return func(done, total int) {
		switch {
		case terminal && done < total:
			fmt.Fprintf(w, "\r%d of %d", done, total)
		case terminal:
			fmt.Fprint(w, "\r\x1b[K")
		case 4*done/total > quarter && done < total:
			quarter = 4 * done / total
			fmt.Fprintf(w, "%d of %d\n", done, total)
		}
	}
}
