package terminal

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/table"
)

func TestColumnsOfWhatIsNoTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if n := Columns(w); n != 0 || Is(w) {
		t.Errorf("a pipe is a terminal of %d columns", n)
	}
	if n := Columns(&strings.Builder{}); n != 0 {
		t.Errorf("a buffer has %d columns", n)
	}
}

func TestWidthsGiveWayWidestFirst(t *testing.T) {
	rows := [][]string{{"name", "a text of thirty-one characters", "1"}, {"n", "short", "1234567890"}}
	for _, tt := range []struct {
		columns int
		want    []int
	}{
		{0, []int{4, 31, 10}}, {100, []int{4, 31, 10}}, {55, []int{4, 31, 10}}, {54, []int{4, 30, 10}}, {34, []int{4, 10, 10}},
		{30, []int{4, 8, 8}}, // even in the middle of a word
		{5, []int{4, 4, 4}},  // as narrow as columns are made
	} {
		if got := Widths(rows, tt.columns, 4, 3); !slices.Equal(got, tt.want) {
			t.Errorf("%d columns: widths %v, want %v", tt.columns, got, tt.want)
		}
	}
	if got := Widths(nil, 10, 4, 3); len(got) != 0 {
		t.Errorf("no rows have widths %v", got)
	}
}

func TestFittedTablesAreNoWiderThanALine(t *testing.T) {
	for _, columns := range []int{0, 24, 40, 80} {
		w := table.NewWriter()
		row := table.Row{"resnet32", "a word after another until no line of a terminal has room", "3"}
		w.AppendRow(row)
		Fit(w, [][]string{{"resnet32", row[1].(string), "3"}}, nil, columns)
		widest := 0
		for line := range strings.Lines(w.Render()) {
			widest = max(widest, len(strings.TrimSuffix(line, "\n")))
		}
		if columns > 0 && widest > columns || columns == 0 && widest < 60 {
			t.Errorf("%d columns: %d wide:\n%s", columns, widest, w.Render())
		}
	}
}

func TestHangBreaksLastCells(t *testing.T) {
	rows := [][]string{{"a", "long words that have to be broken"}, {"bcd", "short"}, {"a line of one cell that is too long, too"}, {""}}
	want := [][]string{
		{"a", "long words that"}, {"", "have to be broken"}, {"bcd", "short"}, {"a line of one cell that"}, {"is too long, too"}, {""},
	}
	if got := Hang(rows, 24, 2); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Hang(rows, 0, 2); !slices.EqualFunc(got, rows, slices.Equal) {
		t.Errorf("of any width: %q", got)
	}
	if got := Hang(rows[:2], 20, 2); !slices.EqualFunc(got, rows[:2], slices.Equal) {
		t.Errorf("without room for words: %q", got)
	}
}
