package record

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/locus-learn/locus/internal/fault"
)

// Curves is a chart of curves over a count, from 0 up, with levels to compare them with.
type Curves struct {
	Title, X, Y string
	Levels      []Level
	Accuracy    bool // heights are per cents, of which the chart shows the part that the curves lie in, and not all from 0 up
	curves      []curve
	marks       []curve
}

// Level is a horizontal line.
type Level struct {
	Name string
	Y    float64
}

type curve struct {
	name   string
	points plotter.XYs
}

// Add puts a point behind the last one of the curve of that name, the first of a new one if there is none yet.
func (c *Curves) Add(name string, x, y float64) { c.curves = added(c.curves, name, x, y) }

// Mark draws a ring around a point. Rings have names in the legend, as curves do.
func (c *Curves) Mark(name string, x, y float64) { c.marks = added(c.marks, name, x, y) }

func added(all []curve, name string, x, y float64) []curve {
	for i := range all {
		if all[i].name == name {
			all[i].points = append(all[i].points, plotter.XY{X: x, Y: y})
			return all
		}
	}
	return append(all, curve{name, plotter.XYs{{X: x, Y: y}}})
}

// PlotCurves draws charts that have the same curves in one SVG at path, side by side. A chart without curves is a fault.
func PlotCurves(path string, charts ...Curves) error {
	legend := newLegend()
	var panels []*panel
	for i, c := range charts {
		if len(c.curves) == 0 {
			return fault.New("nothing to plot: %q has no curves", c.Title)
		}
		p, entries, err := c.panel()
		if err != nil {
			return err
		}
		panels = append(panels, p)
		if i > 0 {
			continue
		}
		for _, e := range entries {
			legend.Add(e.name, e.thumbnail)
		}
	}
	return saveGrid(path, panels, len(panels), legend)
}

// entry of a legend.
type entry struct {
	name      string
	thumbnail plot.Thumbnailer
}

func (c Curves) panel() (*panel, []entry, error) {
	p := newChart(c.Title, c.X, c.Y)
	var entries []entry
	end := 0.0
	for i, curve := range c.curves {
		entries = append(entries, entry{curve.name, &plotter.Line{LineStyle: distinct(i)}})
		if err := p.curve(curve.points, distinct(i)); err != nil {
			return nil, nil, err
		}
		end = max(end, p.X.Max)
	}
	for i, l := range c.Levels {
		style := draw.LineStyle{Color: palette[6], Width: vg.Points(1.4), Dashes: dashes[1+i%(len(dashes)-1)]}
		line, err := plotter.NewLine(plotter.XYs{{X: 0, Y: l.Y}, {X: end, Y: l.Y}})
		if err != nil {
			return nil, nil, err
		}
		line.LineStyle = style
		p.Add(line)
		entries = append(entries, entry{l.Name, line})
	}
	for i, m := range c.marks {
		rings := &plotter.Scatter{XYs: m.points, GlyphStyle: draw.GlyphStyle{
			Color: palette[len(palette)-1-i%len(palette)], Radius: vg.Points(5), Shape: draw.RingGlyph{},
		}}
		p.Add(rings)
		entries = append(entries, entry{m.name, rings})
	}
	if c.Accuracy {
		p.fitAccuracy()
		return p, entries, nil
	}
	if p.Y.Min < 0 {
		p.fit(math.Inf(-1), math.Inf(1))
		return p, entries, nil
	}
	p.fit(0, math.Inf(1))
	p.Y.Min = 0 // so that heights compare
	return p, entries, nil
}
