package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"strings"

	"github.com/locus-learn/locus/internal/sample"
)

//go:embed *.html
var pages embed.FS

var templates = template.Must(template.ParseFS(pages, "*.html"))

// drawn is a drawing in a page.
type drawn struct {
	SVG   template.HTML
	About string
	Band  bool
}

// embedded renders a drawing for a page, with fonts that every browser has.
func embedded(d drawing) (drawn, error) {
	content, err := drawSVG(d, Column, false)
	if err != nil {
		return drawn{}, err
	}
	text := string(content[bytes.Index(content, []byte("<svg")):])
	text = strings.ReplaceAll(text, "font-family:Liberation Sans;", "font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")
	text = strings.ReplaceAll(text, "font-family:Liberation Serif;", "font-family:'Liberation Serif','Times New Roman',serif;")
	_, about := d.title()
	return drawn{template.HTML(text), about, d.banded()}, nil
}

// html renders table and pictures as one page that needs no other file.
func (g Grouping) html(figures []figure) ([]byte, error) {
	type run struct {
		Dir, Method    string
		Seed           uint64
		Steps          int
		Accuracy, Peak string
	}
	header, rows := g.rows()
	data := struct {
		Title   string
		Header  []string
		Rows    [][]string
		Text    int // columns that are no numbers
		Notes   []string
		Figures []drawn
		Runs    []run
	}{Title: g.heading(), Header: header, Rows: rows, Text: len(g.By), Notes: g.notes()}
	for _, f := range figures {
		d, err := embedded(f)
		if err != nil {
			return nil, err
		}
		data.Figures = append(data.Figures, d)
	}
	for _, row := range g.Groups {
		for _, r := range row.Runs {
			data.Runs = append(data.Runs, run{r.Dir, r.Summary.Method, r.Summary.Seed, r.Summary.Steps,
				sample.Of([]float64{accuracy(r)}).Text(2), fmt.Sprintf("%.1f", peak(r))})
		}
	}
	return rendered("page.html", data)
}

// heading says what the page is about.
func (g Grouping) heading() string {
	runs := 0
	for _, row := range g.Groups {
		runs += len(row.Runs)
	}
	first := g.Groups[0].Runs[0].Summary
	of := "runs"
	if runs == 1 {
		of = "run"
	}
	return fmt.Sprintf("%s on %s: %d %s", first.Model, first.Dataset, runs, of)
}

// banded says whether some group has a spread to show.
func (f figure) banded() bool {
	for _, l := range f.lines {
		for _, p := range l.points {
			if p.high > p.low {
				return true
			}
		}
	}
	return false
}
