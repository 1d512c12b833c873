package report

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strconv"

	"github.com/locus-learn/locus/internal/show"
)

// figures are the pictures that have something to show.
func (r rankedReport) figures() (all []figure) {
	var alone, depth []point
	var reliable []line
	for i, h := range r.Heads {
		value100 := 100 * r.means[i].AP
		alone = append(alone, at(float64(r.ways.alone(i)), value100))
		depth = append(depth, value(float64(h.Module), value100))
		var share []point
		bins, _ := r.calibration(h)
		for _, in := range bins {
			if in.n > 0 {
				share = append(share, value(100*in.sure/float64(in.n), 100*float64(in.right)/float64(in.n)))
			}
		}
		reliable = append(reliable, line{name: fmt.Sprintf("module %d", h.Module), style: i, points: share})
	}
	perfect := line{name: "as often as said", style: 13, points: []point{value(0, 0), value(100, 100)}, bare: true}
	for _, f := range []figure{
		{name: "exits", x: "multiply-adds a sample (millions)", y: "mAP (%)", percent: true, zero: true,
			about: "Mean average precision against computation: up and left is better.", lines: []line{
				{name: "each leaves at the first head that is sure enough", style: 0, points: points(r.curve), bare: true},
				{name: "all leave at one head", style: 1, points: alone, dots: true}}},
		{name: "depth", x: "module $k$", y: "mAP (%)", counts: true, percent: true,
			about: "Mean average precision of the head behind each module, from the input on.", lines: []line{{name: "head", points: depth}}},
		{name: "calibration", x: "probability (%)", y: "images that have the class (%)", percent: true, zero: true,
			about: "How often an image has a class that a head gives about that probability: on the dashed line, as often as it says.",
			lines: append(reliable, perfect)},
	} {
		if f.name == "exits" && len(r.Heads) < 2 || !f.worth() {
			continue
		}
		all = append(all, f)
	}
	return all
}

// rankedRow is a class on the page.
type rankedRow struct {
	Class, N  string
	Heads     []string // average precision
	F1        string
	Threshold string
	BestF1    string
	Last      float64 // average precision of the last head in per cent; -1 where it is not defined
}

// wrong is a mistake on the page.
type wrong struct {
	Picture       template.URL
	Title, Sample string
	Class         string
	Has           bool
	Probability   string
}

// html renders everything as one page that needs no other file. shown are the mistakes as PNG files.
func (r rankedReport) html(shown [][]byte) ([]byte, error) {
	page, err := answersOf(r.Checkpoint, r.Subset, "mAP", r.figures())
	if err != nil {
		return nil, err
	}
	page.Samples = fmt.Sprintf("%d %s samples of %s, which have any number of %d classes", r.samples(), r.Part, show.Line(r.Set), len(r.Classes))
	whole := float64(r.ways.alone(len(r.Heads) - 1))
	page.Verdicts = verdicts(r.curve, whole, 100*r.means[len(r.means)-1].AP, "a mean average precision")
	for i, h := range r.Heads {
		_, ece := r.calibration(h)
		m := r.means[i]
		page.head(h.Module, h.Blocks, r.ways.alone(i), decimal(100*m.AP, 2), decimal(100*m.F1, 2), decimal(100*m.F1Micro, 2),
			decimal(h.Loss, 3), decimal(100*ece, 2))
	}
	for _, x := range r.exits([]float64{0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999}) { // some that people choose
		page.exit(strconv.FormatFloat(x.threshold, 'g', -1, 64), x, whole)
	}
	data := struct {
		answered
		Classes     []rankedRow
		MoreClasses int
		Mistakes    []wrong
	}{answered: page}
	data.Classes, data.MoreClasses = worst(r.classRows())
	for i, m := range r.Mistakes {
		at := m.Sample*len(r.Classes) + m.Class
		data.Mistakes = append(data.Mistakes, wrong{
			Picture: inline(shown[i]), Title: m.Title, Sample: strconv.Itoa(m.Sample), Class: show.Line(r.Classes[m.Class]), Has: r.Has[at] != 0,
			Probability: decimal(100*probability(r.last().Logits[at]), 1),
		})
	}
	return rendered("ranked.html", data)
}

// classRows has a row a class, those that the last head ranks worst first.
func (r rankedReport) classRows() (rows []rankedRow) {
	for k, name := range r.Classes {
		last := r.classes[len(r.classes)-1][k]
		row := rankedRow{Class: show.Line(name), N: strconv.Itoa(last.Positives), F1: decimal(100*last.F1(), 1), Last: 100 * last.AP}
		if last.Positives == 0 {
			row.Last = -1
		}
		for _, all := range r.classes {
			row.Heads = append(row.Heads, decimal(100*all[k].AP, 1))
		}
		row.Threshold, row.BestF1 = decimal(probability(float32(last.Best)), 3), decimal(100*last.BestF1, 1)
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b rankedRow) int { return cmp.Compare(a.Last, b.Last) })
	return rows
}
