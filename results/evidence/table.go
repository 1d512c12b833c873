package main

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Table says how rows of a file become a table. Columns lists headers with the templates of their cells, in order.
//
// With Across, the rows that agree in Columns make one line. Each then adds the columns of Each, once for every value of
// the column Across: numbers in their order, anything else by first appearance. Headers of Each may have templates, too,
// and a column of Each without any content is left out.
type Table struct {
	Table   string
	choice  `yaml:",inline"`
	Columns []map[string]string
	Across  string
	Each    []map[string]string
}

// renderTable returns the table that spec asks for, of a file in folder.
func renderTable(folder string, spec []byte) (string, error) {
	var t Table
	if err := parse(append([]byte("table: "), spec...), &t); err != nil {
		return "", err
	}
	rows, err := readRows(filepath.Join(folder, t.Table))
	if err != nil {
		return "", err
	}
	if rows, err = t.of(rows); err != nil {
		return "", err
	}
	lines, err := t.lines(rows)
	if err != nil {
		return "", err
	}
	return markdown(lines), nil
}

func parse(text []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	return d.Decode(into)
}

// lines are the cells of the table, the header first.
func (t Table) lines(rows []row) ([][]string, error) {
	if t.Across == "" {
		t.Each = nil
	} else if _, ok := rows[0][t.Across]; !ok {
		return nil, fmt.Errorf("across: no column %q", t.Across)
	}
	header, err := cells(t.Columns, nil)
	if err != nil {
		return nil, err
	}
	var groups [][]string // the first cells of each line
	members := map[string][]row{}
	var across []row // the first row of each value
	seen := map[string]bool{}
	for i, r := range rows {
		first, err := cells(t.Columns, r)
		if err != nil {
			return nil, err
		}
		key := strings.Join(first, "\x00")
		if t.Across == "" {
			key = fmt.Sprint(i)
		}
		if members[key] == nil {
			groups = append(groups, append([]string{key}, first...))
		}
		members[key] = append(members[key], r)
		if value := r[t.Across]; t.Across != "" && !seen[value] {
			seen[value] = true
			across = append(across, r)
		}
	}
	slices.SortStableFunc(across, func(a, b row) int { return numerically(a[t.Across], b[t.Across]) })
	for _, r := range across {
		for _, column := range t.Each {
			for name := range column {
				text, err := fill(name, r)
				if err != nil {
					return nil, err
				}
				header = append(header, text)
			}
		}
	}
	lines := [][]string{header}
	for _, group := range groups {
		line := group[1:]
		for _, r := range across {
			more := make([]string, len(t.Each))
			for _, m := range members[group[0]] {
				if m[t.Across] == r[t.Across] {
					if more, err = cells(t.Each, m); err != nil {
						return nil, err
					}
				}
			}
			line = append(line, more...)
		}
		lines = append(lines, line)
	}
	return withoutEmpty(lines, len(t.Columns)), nil
}

// numerically compares numbers; among other values all are equal.
func numerically(a, b string) int {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX != nil || errY != nil {
		return 0
	}
	return cmp.Compare(x, y)
}

// withoutEmpty leaves out the columns, from the given one on, that no line has anything in.
func withoutEmpty(lines [][]string, from int) [][]string {
	for i := len(lines[0]) - 1; i >= from; i-- {
		if !slices.ContainsFunc(lines[1:], func(line []string) bool { return line[i] != "" }) {
			for n := range lines {
				lines[n] = slices.Delete(lines[n], i, i+1)
			}
		}
	}
	return lines
}

// cells fills the templates of columns from r, or returns their headers for no row.
func cells(columns []map[string]string, r row) ([]string, error) {
	var out []string
	for _, column := range columns {
		if len(column) != 1 {
			return nil, fmt.Errorf("columns: an entry has %d headers, one is allowed", len(column))
		}
		for header, template := range column {
			if r == nil {
				out = append(out, header)
				continue
			}
			text, err := fill(template, r)
			if err != nil {
				return nil, err
			}
			out = append(out, text)
		}
	}
	return out, nil
}

var number = regexp.MustCompile(`^[−–\-+]?[0-9][0-9.,]*( %)?$`)

// markdown aligns columns of numbers to the right and pads all to one width, so that the source reads as a table, too.
func markdown(lines [][]string) string {
	columns := len(lines[0])
	width, right := make([]int, columns), make([]bool, columns)
	for i := range columns {
		right[i] = true
		for n, line := range lines {
			width[i] = max(width[i], utf8.RuneCountInString(line[i]), 3)
			right[i] = right[i] && (n == 0 || line[i] == "" || number.MatchString(line[i]))
		}
	}
	var out strings.Builder
	for n, line := range lines {
		out.WriteString(padded(line, width, right))
		if n == 0 {
			for i := range columns {
				rule := strings.Repeat("-", width[i])
				if right[i] {
					rule = rule[1:] + ":"
				}
				out.WriteString("| " + rule + " ")
			}
			out.WriteString("|\n")
		}
	}
	return out.String()
}

func padded(line []string, width []int, right []bool) string {
	var out strings.Builder
	for i, text := range line {
		space := strings.Repeat(" ", width[i]-utf8.RuneCountInString(text))
		if right[i] {
			text = space + text
		} else {
			text += space
		}
		out.WriteString("| " + text + " ")
	}
	return out.String() + "|\n"
}
