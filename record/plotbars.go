package record

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/locus-learn/locus/internal/fault"
)

// Bars is a chart of horizontal bars, the first on top.
type Bars struct {
	Title, Axis string
	Parts       []string // what a bar is made of, from the left; at most two
	Bars        []Bar
	Full        float64 // what a bar can be at most, where the axis ends; 0 if there is no such end
}

// Bar is one of them.
type Bar struct {
	Name, Label string    // in front of it and behind its end
	Parts       []float64 // one a part of the chart
	Low, High   float64   // where a whisker begins and ends; none if both are 0
}

// MemoryParts are the parts of a [MemoryBar].
var MemoryParts = []string{"rests between steps", "needed within a step"}

// MemoryBar splits a peak of so many bytes into what rests between steps and what only a step needs, in MiB. A peak of
// 0 was not measured.
func MemoryBar(name string, resting, peak int64) Bar {
	b := Bar{Name: name, Label: "not measured", Parts: []float64{float64(resting) / (1 << 20), float64(max(peak-resting, 0)) / (1 << 20)}}
	if total := b.total(); total > 0 {
		b.Label = fmt.Sprintf("%.1f", total)
	}
	return b
}

func (b Bar) total() float64 {
	var sum float64
	for _, v := range b.Parts {
		sum += v
	}
	return sum
}

// PlotBars draws charts in one SVG at path, one below the other. A chart without bars is a fault.
func PlotBars(path string, charts ...Bars) error {
	var panels []*panel
	var height, column vg.Length
	for _, c := range charts {
		if len(c.Bars) == 0 {
			return fault.New("nothing to plot: %q has no bars", c.Title)
		}
		p, err := c.panel()
		if err != nil {
			return err
		}
		panels = append(panels, p)
		height += barsHeight(len(c.Bars))
	}
	const width, margin = 22 * vg.Centimeter, 12
	return saveSVG(path, width, height+margin, func(c draw.Canvas) {
		c = draw.Crop(c, margin, -margin, margin/2, -margin/2)
		for _, p := range panels {
			column = max(column, p.legend.Rectangle(c).Size().X+vg.Points(20))
		}
		for i, p := range panels {
			part := barsHeight(len(charts[i].Bars))
			row := draw.Crop(c, 0, 0, c.Max.Y-c.Min.Y-part, 0)
			p.Draw(draw.Crop(row, 0, -column, margin/2, 0))
			p.legend.Draw(draw.Crop(row, row.Max.X-row.Min.X-column+margin, 0, 0, -2*margin))
			c = draw.Crop(c, 0, 0, 0, -part)
		}
	})
}

const (
	barWidth = 12 // points
	barPitch = 20 // points from bar to bar

	labelRoom = 1.12 // so much longer is the axis than the longest bar, for the label behind it
)

// barsHeight is what a chart of n bars needs with its title and axis.
func barsHeight(n int) vg.Length { return 2.6*vg.Centimeter + vg.Length(n)*barPitch }

func (c Bars) panel() (*panel, error) {
	p := newPanel(c.Title, c.Axis, "")
	n := len(c.Bars)
	names := make([]string, n)
	for i, b := range c.Bars {
		names[n-1-i] = b.Name // bars count from the bottom
	}
	if err := c.stack(p); err != nil {
		return nil, err
	}
	if err := c.ends(p); err != nil {
		return nil, err
	}
	p.NominalY(names...)
	p.X.Tick.Marker = plot.TickerFunc(roundTicks)
	p.X.Min = 0
	if c.Full > 0 {
		p.X.Max = c.Full
	} else if p.X.Max <= 0 { // nothing was measured
		p.X.Max = 1
	}
	p.X.Max *= labelRoom
	p.Y.Min, p.Y.Max = -0.6, float64(n)-0.4
	return p, nil
}

// stack draws the bars part by part.
func (c Bars) stack(p *panel) error {
	var below *plotter.BarChart
	for k, part := range c.Parts {
		values := make(plotter.Values, len(c.Bars))
		for i, b := range c.Bars {
			values[len(values)-1-i] = b.Parts[k]
		}
		chart, err := plotter.NewBarChart(values, vg.Points(barWidth))
		if err != nil {
			return err
		}
		chart.Horizontal, chart.Color = true, []color.Color{palette[0], palette[5]}[k]
		chart.LineStyle.Width = 0
		if below != nil {
			chart.StackOn(below)
		}
		below = chart
		p.Add(chart)
		if len(c.Parts) > 1 {
			p.legend.Add(part, chart)
		}
	}
	return nil
}

// ends draws whiskers and labels.
func (c Bars) ends(p *panel) error {
	var whiskers struct {
		plotter.XYs
		plotter.XErrors
	}
	var labels plotter.XYLabels
	for i, b := range c.Bars {
		total, y := b.total(), float64(len(c.Bars)-1-i)
		if b.Low != 0 || b.High != 0 {
			whiskers.XYs = append(whiskers.XYs, plotter.XY{X: total, Y: y})
			whiskers.XErrors = append(whiskers.XErrors, struct{ Low, High float64 }{b.Low - total, b.High - total})
		}
		labels.XYs = append(labels.XYs, plotter.XY{X: max(total, b.High), Y: y})
		labels.Labels = append(labels.Labels, b.Label)
	}
	if len(whiskers.XYs) > 0 {
		lines, err := plotter.NewXErrorBars(whiskers)
		if err != nil {
			return err
		}
		lines.LineStyle = draw.LineStyle{Color: palette[6], Width: vg.Points(1.2)}
		p.Add(lines)
	}
	texts, err := plotter.NewLabels(labels)
	if err != nil {
		return err
	}
	texts.Offset = vg.Point{X: vg.Points(4), Y: vg.Points(1)}
	for i := range texts.TextStyle {
		texts.TextStyle[i].Font = sans(10)
		texts.TextStyle[i].YAlign = draw.YCenter
	}
	p.Add(texts)
	return nil
}
