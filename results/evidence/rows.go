package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// provenance are the columns that every file of figures has: what made a row, from which commit, where, from how many
// runs, and from which seed. A cell is empty where nobody wrote it down.
var provenance = []string{"command", "commit", "machine", "n", "seed"}

// row is one line of a file of figures, by the names of its columns.
type row map[string]string

// readRows reads a file of figures and checks its form.
func readRows(path string) ([]row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll() // refuses lines of another length
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	if len(lines) < 2 {
		return nil, fmt.Errorf("%s has no figures", filepath.Base(path))
	}
	for _, name := range provenance {
		if !slices.Contains(lines[0], name) {
			return nil, fmt.Errorf("%s has no column %q", filepath.Base(path), name)
		}
	}
	var rows []row
	for n, line := range lines[1:] {
		r := row{}
		for i, cell := range line {
			if cell != strings.TrimSpace(cell) {
				return nil, fmt.Errorf("%s line %d: %q begins or ends with a space", filepath.Base(path), n+2, cell)
			}
			r[lines[0][i]] = cell
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// choice is the rows that a table or a picture is made of.
type choice struct {
	Where map[string]values // column → what it may be
}

// values is one value or a list of them.
type values []string

func (v *values) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if unmarshal(&one) == nil {
		*v = values{one}
		return nil
	}
	return unmarshal((*[]string)(v))
}

func (c choice) of(rows []row) ([]row, error) {
	var chosen []row
	for _, r := range rows {
		fits := true
		for column, allowed := range c.Where {
			value, ok := r[column]
			if !ok {
				return nil, fmt.Errorf("where: no column %q", column)
			}
			fits = fits && slices.Contains(allowed, value)
		}
		if fits {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("where: no row is like this")
	}
	return chosen, nil
}

var (
	optional = regexp.MustCompile(`\[([^\]]*)\]`)
	cell     = regexp.MustCompile(`\{([^}]*)\}`)
)

// fill replaces {column} by the row's cell. Of a part in [brackets] nothing is left where one of its cells is empty.
func fill(template string, r row) (string, error) {
	var unknown error
	template = optional.ReplaceAllStringFunc(template, func(part string) string {
		for _, m := range cell.FindAllStringSubmatch(part, -1) {
			if value, ok := r[m[1]]; ok && value == "" {
				return ""
			}
		}
		return part[1 : len(part)-1]
	})
	text := cell.ReplaceAllStringFunc(template, func(name string) string {
		value, ok := r[name[1:len(name)-1]]
		if !ok && unknown == nil {
			unknown = fmt.Errorf("no column %q", name[1:len(name)-1])
		}
		return typeset(value)
	})
	return text, unknown
}

var (
	power    = regexp.MustCompile(`^(-?[0-9.]+)e(-?[0-9]+)$`)
	raised   = strings.NewReplacer("0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹", "-", "⁻")
	negative = regexp.MustCompile(`^-[0-9]`)
)

// typeset writes 2e-3 as 2·10⁻³ and gives a negative number its minus sign.
func typeset(value string) string {
	if m := power.FindStringSubmatch(value); m != nil {
		value = strings.TrimPrefix(m[1]+"·10"+raised.Replace(m[2]), "1·")
	}
	if negative.MatchString(value) {
		value = "−" + value[1:]
	}
	return value
}
