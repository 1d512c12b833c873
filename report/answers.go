package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"strconv"

	"github.com/locus-learn/locus/internal/show"
)

// What a page has room for; the tables beside it have all.
const (
	mostClasses = 30
	mostPairs   = 12
)

// answered is what the pages have in common that say what the heads of a network answer: one class a sample, or any number.
type answered struct {
	Title    string
	Samples  string // how many of which
	Subset   bool
	Measure  string // of how right a head is
	Modules  []int  // whose heads answer
	Heads    [][]string
	Drawings map[string]drawn
	Verdicts []string
	Exits    [][]string
	Bins     int
}

// answersOf begins a page with its pictures.
func answersOf[D drawing](checkpoint string, subset bool, measure string, drawings []D) (a answered, err error) {
	a = answered{
		Title: fmt.Sprintf("%s: what its heads answer", show.Line(checkpoint)), Subset: subset, Measure: measure,
		Drawings: map[string]drawn{}, Bins: bins,
	}
	for _, d := range drawings {
		name, _ := d.title()
		if a.Drawings[name], err = embedded(d); err != nil {
			return a, err
		}
	}
	return a, nil
}

// head adds the row of a module's head; values stand between its blocks and what it takes.
func (a *answered) head(module int, blocks string, macs int64, values ...string) {
	millions := float64(macs) / 1e6
	row := append([]string{strconv.Itoa(module), blocks}, values...)
	a.Modules = append(a.Modules, module)
	a.Heads = append(a.Heads, append(row, decimal(millions, digitsFor(millions))))
}

// exit adds a row of the table of early exits; whole is what the last head alone takes.
func (a *answered) exit(name string, x exit, whole float64) {
	row := []string{name, decimal(x.accuracy, 2), decimal(x.macs/1e6, digitsFor(x.macs/1e6)), decimal(100*x.macs/whole, 0)}
	for _, share := range x.shares {
		row = append(row, decimal(share, 1))
	}
	a.Exits = append(a.Exits, row)
}

// worst returns the first of the rows of classes, as many as a page has room for, and how many more there are.
func worst[Row any](rows []Row) (shown []Row, more int) {
	n := min(len(rows), mostClasses)
	return rows[:n], len(rows) - n
}

// inline is a PNG file in a page; empty for none.
func inline(png []byte) template.URL {
	if png == nil {
		return ""
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(png))
}

// rendered is a page of one of the templates.
func rendered(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	err := templates.ExecuteTemplate(&b, name, data)
	return b.Bytes(), err
}
