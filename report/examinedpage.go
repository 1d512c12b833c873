package report

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"

	"github.com/locus-learn/locus/internal/sample"
	"github.com/locus-learn/locus/internal/show"
)

// shownMistake is a mistake on the page.
type shownMistake struct {
	Picture             template.URL
	Title               string
	Class, Said         string
	Sure, Right, Sample string
}

// classRow is a class on the page.
type classRow struct {
	Class, N string
	Heads    []string
	Last     float64 // per cent
	Mistaken string
}

// html renders everything as one page that needs no other file. shown are the mistakes as PNG files.
func (e Examination) html(shown [][]byte) ([]byte, error) {
	page, err := answersOf(e.Checkpoint, e.Subset, "accuracy", e.drawings())
	if err != nil {
		return nil, err
	}
	page.Samples = fmt.Sprintf("%d %s samples of %s", len(e.Labels), e.Part, show.Line(e.Set))
	page.Verdicts = e.verdicts()
	for _, i := range e.answering() {
		h := e.Heads[i]
		_, ece := e.calibration(h)
		page.head(h.Module, h.Blocks, e.alone(i), decimal(h.Top1, 2), decimal(h.Top5, 2), decimal(h.Loss, 3), decimal(100*ece, 2))
	}
	e.exitRows(&page)
	data := struct {
		answered
		Classes     []classRow
		MoreClasses int
		Pairs       [][]string
		Mistakes    []shownMistake
	}{answered: page, Pairs: e.pairRows()}
	data.Classes, data.MoreClasses = worst(e.classRows())
	for i, m := range e.Mistakes {
		data.Mistakes = append(data.Mistakes, e.mistake(m, shown[i]))
	}
	return rendered("examined.html", data)
}

// decimal writes a number with so many digits behind the point, and – for none.
func decimal(v float64, digits int) string { return sample.Of([]float64{v}).Text(digits) }

// exitRows adds some confidences that people choose.
func (e Examination) exitRows(page *answered) {
	if len(e.answering()) < 2 {
		return
	}
	whole := float64(e.alone(len(e.Heads) - 1))
	for _, t := range []float64{0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999} {
		page.exit(strconv.FormatFloat(t, 'g', -1, 64), e.leave(t), whole)
	}
	last := exit{accuracy: e.last().Top1, macs: whole, shares: make([]float64, len(e.answering()))}
	last.shares[len(last.shares)-1] = 100
	page.exit("last head alone", last, whole)
}

// classRows has a row a class, those of which the last head is least often right first.
func (e Examination) classRows() (rows []classRow) {
	taken := map[int]confused{}
	for _, c := range e.confusion() {
		if _, have := taken[c.label]; !have && c.label != c.said {
			taken[c.label] = c
		}
	}
	for label, class := range e.Classes {
		row := classRow{Class: show.Line(class), Last: -1}
		for _, i := range e.answering() {
			n, right := e.perClass(e.Heads[i])
			row.N = strconv.Itoa(n[label])
			row.Heads = append(row.Heads, decimal(100*float64(right[label])/float64(n[label]), 1))
			if n[label] > 0 {
				row.Last = 100 * float64(right[label]) / float64(n[label])
			}
		}
		if c, ok := taken[label]; ok {
			row.Mistaken = fmt.Sprintf("%s (%d)", show.Line(e.Classes[c.said]), c.n)
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b classRow) int {
		switch {
		case a.Last < b.Last:
			return -1
		case a.Last > b.Last:
			return 1
		}
		return 0
	})
	return rows
}

// pairRows are the classes that are taken for each other most often.
func (e Examination) pairRows() (rows [][]string) {
	n, _ := e.perClass(e.last())
	for _, c := range e.confusion() {
		if c.label == c.said || len(rows) == mostPairs {
			break
		}
		rows = append(rows, []string{show.Line(e.Classes[c.label]), show.Line(e.Classes[c.said]), strconv.Itoa(c.n), decimal(100*float64(c.n)/float64(n[c.label]), 1)})
	}
	return rows
}

func (e Examination) mistake(m Mistake, png []byte) shownMistake {
	s := e.last().Said[m.Sample]
	return shownMistake{
		Picture: inline(png), Title: m.Title, Class: show.Line(e.Classes[e.Labels[m.Sample]]), Said: show.Line(e.Classes[s.Class]),
		Sure: decimal(100*s.Sure, 1), Right: decimal(100*s.Right, 1), Sample: strconv.Itoa(m.Sample),
	}
}
