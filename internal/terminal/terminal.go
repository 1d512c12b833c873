// Package terminal asks how wide a terminal is, and makes tables and lists fit into its lines.
package terminal

import (
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// Is reports whether w is a terminal that understands control characters: TERM=dumb asks for plain lines.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// Columns is how many characters a line of w has; 0 where it is no terminal.
func Columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok && Is(w) {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil {
			return n
		}
	}
	return 0
}

// least is the narrowest that a column is made, unless it is narrower by itself, and short a cell that is broken only when
// no other can be.
const least, short = 4, 8

// Widths returns how wide the columns of rows are. Where a line would take more than so many characters, with around at its
// ends and between its cells, the widest columns give way: first those that break between words. 0 is any number.
func Widths(rows [][]string, columns, around, between int) []int {
	var widths, floors []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths, floors = append(widths, 0), append(floors, least)
			}
			widths[i], floors[i] = max(widths[i], text.LongestLineLen(cell)), max(floors[i], unbroken(cell))
		}
	}
	if columns == 0 {
		return widths
	}
	room := columns - around - between*(len(widths)-1)
	narrow(widths, room, func(i int) int { return floors[i] })
	narrow(widths, room, func(int) int { return least })
	return widths
}

// unbroken is the length of what a cell is not broken in before others are.
func unbroken(cell string) (longest int) {
	if n := text.LongestLineLen(cell); n <= short {
		return n
	}
	for _, word := range strings.Fields(cell) {
		longest = max(longest, text.LongestLineLen(word))
	}
	return longest
}

// narrow takes from the widest columns until all fit into the room, or none is above its floor.
func narrow(widths []int, room int, floor func(i int) int) {
	total := 0
	for _, w := range widths {
		total += w
	}
	for ; total > room; total-- {
		widest := -1
		for i, w := range widths {
			if w > floor(i) && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return // such a terminal is too narrow for this table
		}
		widths[widest]--
	}
}

// Fit gives the columns of t the widths with which it fits into lines of so many characters; 0 is any number. Cells break
// between words. What else columns have been given, by number, is kept.
func Fit(t table.Writer, rows [][]string, configs []table.ColumnConfig, columns int) {
	if columns > 0 {
		for i, w := range Widths(rows, columns, 4, 3) {
			at := -1
			for j := range configs {
				if configs[j].Number == i+1 {
					at = j
				}
			}
			if at < 0 {
				at = len(configs)
				configs = append(configs, table.ColumnConfig{Number: i + 1})
			}
			if most := configs[at].WidthMax; most == 0 || w < most {
				configs[at].WidthMax, configs[at].WidthMaxEnforcer = w, text.WrapSoft
			}
		}
	}
	t.SetColumnConfigs(configs)
}

// Hang breaks the last cells of rows between words so that lines have at most so many characters, where there is room for words;
// 0 is any number. What does not fit becomes a row whose other cells are empty.
func Hang(rows [][]string, columns, between int) [][]string {
	if columns == 0 {
		return rows
	}
	var broken [][]string
	for _, row := range rows {
		last, room := len(row)-1, columns
		for i := range last {
			room -= cellWidth(rows, i) + between
		}
		if room < 2*short {
			broken = append(broken, row)
			continue
		}
		for i, line := range strings.Split(text.WrapSoft(row[last], room), "\n") {
			next := make([]string, len(row))
			if i == 0 {
				copy(next, row)
			}
			next[last] = strings.TrimRight(line, " ")
			broken = append(broken, next)
		}
	}
	return broken
}

// cellWidth is how wide a column is whose cells are followed by others; what stands last in its row takes no place in it.
func cellWidth(rows [][]string, column int) (width int) {
	for _, row := range rows {
		if len(row) > column+1 {
			width = max(width, text.LongestLineLen(row[column]))
		}
	}
	return width
}
