package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/locus-learn/locus/record"
)

// Picture says how rows of a file become curves: a line for each value of the column Curves, over the column X, in a chart
// for each of Charts. A row with a value in the column Marks gets a ring of that name. The file is an SVG, named from the
// folder of the Markdown file that asks for it.
type Picture struct {
	Picture string
	From    string
	choice  `yaml:",inline"`
	X       string
	Curves  string
	Marks   string
	Charts  []Chart
}

// Chart draws the column Of. Levels are horizontal lines, each with a name and a height y.
type Chart struct {
	Title, X, Y string
	Of          string
	Levels      []record.Level
	Accuracy    bool // as of [record.Curves]
}

// renderPicture returns the name and the content of the picture that spec asks for, of a file in folder.
func renderPicture(folder string, spec []byte) (name string, svg []byte, err error) {
	var p Picture
	if err := parse(append([]byte("picture: "), spec...), &p); err != nil {
		return "", nil, err
	}
	rows, err := readRows(filepath.Join(folder, p.From))
	if err != nil {
		return "", nil, err
	}
	if rows, err = p.of(rows); err != nil {
		return "", nil, err
	}
	var charts []record.Curves
	for _, c := range p.Charts {
		chart, err := p.chart(c, rows)
		if err != nil {
			return "", nil, err
		}
		charts = append(charts, chart)
	}
	dir, err := os.MkdirTemp("", "evidence")
	if err != nil {
		return "", nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "picture.svg")
	if err := record.PlotCurves(path, charts...); err != nil {
		return "", nil, err
	}
	svg, err = os.ReadFile(path)
	return p.Picture, svg, err
}

// chart puts the rows into one chart; rows without one of the values are left out.
func (p Picture) chart(c Chart, rows []row) (record.Curves, error) {
	chart := record.Curves{Title: c.Title, X: c.X, Y: c.Y, Levels: c.Levels, Accuracy: c.Accuracy}
	for _, r := range rows {
		if r[c.Of] == "" || r[p.X] == "" {
			continue
		}
		x, err := strconv.ParseFloat(r[p.X], 64)
		if err != nil {
			return chart, fmt.Errorf("x: %w", err)
		}
		y, err := strconv.ParseFloat(r[c.Of], 64)
		if err != nil {
			return chart, fmt.Errorf("%s: %w", c.Of, err)
		}
		chart.Add(r[p.Curves], x, y)
		if mark := r[p.Marks]; mark != "" {
			chart.Mark(mark, x, y)
		}
	}
	return chart, nil
}
