package record

import (
	"bytes"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The palette of Okabe and Ito, which people with any kind of colour vision can tell apart, without its yellow, too pale for a
// line on white.
var palette = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, // blue
	color.RGBA{0xd5, 0x5e, 0x00, 0xff}, // vermilion
	color.RGBA{0x00, 0x9e, 0x73, 0xff}, // bluish green
	color.RGBA{0xcc, 0x79, 0xa7, 0xff}, // reddish purple
	color.RGBA{0xe6, 0x9f, 0x00, 0xff}, // orange
	color.RGBA{0x56, 0xb4, 0xe9, 0xff}, // sky blue
	color.RGBA{0x22, 0x22, 0x22, 0xff}, // near black
}

// dashes tell lines apart once the palette has been used up.
var dashes = [][]vg.Length{nil, {6, 3}, {2, 2}}

const (
	fewPoints  = 30  // up to so many points of a line are marked
	manyPoints = 250 // beyond so many, neighbours are averaged: noise and file size, not information
)

// distinct is the style of the i-th of several equal lines.
func distinct(i int) draw.LineStyle {
	return draw.LineStyle{
		Color:  palette[i%len(palette)],
		Width:  vg.Points(1.8),
		Dashes: dashes[i/len(palette)%len(dashes)],
	}
}

// panel is a plot whose legend stands beside it, where it cannot cover a line.
type panel struct {
	*plot.Plot
	legend plot.Legend
}

func newPanel(title, x, y string) *panel {
	p := &panel{Plot: plot.New(), legend: newLegend()}
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font = sans(14)
	p.Title.Padding = vg.Points(8)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font = sans(12)
		axis.Label.Padding = vg.Points(4)
		axis.Tick.Label.Font = sans(11)
	}
	p.X.Tick.Marker = plot.TickerFunc(countTicks)
	p.Y.Tick.Marker = plot.TickerFunc(roundTicks)
	return p
}

// newChart is a panel for curves, with lines across to read their height by.
func newChart(title, x, y string) *panel {
	p := newPanel(title, x, y)
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color = color.Gray{0xdd}
	grid.Horizontal.Width = vg.Points(0.6)
	p.Add(grid)
	return p
}

func newLegend() plot.Legend {
	l := plot.NewLegend()
	l.TextStyle.Font = sans(11)
	l.Top, l.Left = true, true
	l.Padding = vg.Points(4)
	l.ThumbnailWidth = vg.Points(22)
	return l
}

func sans(size float64) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(size)}
}

// line draws points, which must be finite and at least one, and returns what stands for them in a legend.
func (p *panel) line(points plotter.XYs, style draw.LineStyle) ([]plot.Thumbnailer, error) {
	line, err := plotter.NewLine(thin(points, manyPoints))
	if err != nil {
		return nil, err
	}
	line.LineStyle = style
	p.Add(line)
	if len(points) > fewPoints {
		return []plot.Thumbnailer{line}, nil
	}
	dots := &plotter.Scatter{XYs: points, GlyphStyle: draw.GlyphStyle{
		Color: style.Color, Radius: style.Width * 1.5, Shape: draw.CircleGlyph{},
	}}
	p.Add(dots)
	return []plot.Thumbnailer{line, dots}, nil
}

// fit sets the axes once all lines are drawn: x from 0, y with some air but within what the quantity can be.
func (p *panel) fit(low, high float64) {
	if p.Y.Min > p.Y.Max { // no line
		p.X.Max, p.Y.Min, p.Y.Max = 1, 0, 1
	}
	air := 0.04 * (p.Y.Max - p.Y.Min)
	if air == 0 {
		air = max(0.1*math.Abs(p.Y.Max), 0.1)
	}
	p.Y.Min, p.Y.Max = max(p.Y.Min-air, low), min(p.Y.Max+air, high)
	if p.X.Min == p.X.Max {
		p.X.Max *= 2 // a single point stands in the middle
	}
	p.X.Min = 0
}

// thin averages neighbours until at most n points are left.
func thin(points plotter.XYs, n int) plotter.XYs {
	if len(points) <= n {
		return points
	}
	out := make(plotter.XYs, n)
	for i := range out {
		bucket := points[i*len(points)/n : (i+1)*len(points)/n]
		for _, p := range bucket {
			out[i].X += p.X / float64(len(bucket))
			out[i].Y += p.Y / float64(len(bucket))
		}
	}
	return out
}

// roundTicks labels four to eight multiples of 1, 2 or 5 times a power of ten; gonum's own choice is often odd, such as 10, 50, 90.
func roundTicks(low, high float64) []plot.Tick {
	power := math.Pow(10, math.Floor(math.Log10((high-low)/4)))
	step := power
	for _, multiple := range []float64{5, 2} {
		if (high-low)/(multiple*power) >= 4 {
			step = multiple * power
			break
		}
	}
	digits := max(0, -int(math.Floor(math.Log10(step))))
	var ticks []plot.Tick
	for i := range 10 { // bounded: adding a step to a huge number may not change it
		if v := (math.Ceil(low/step) + float64(i)) * step; v <= high {
			ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', digits, 64)})
		}
	}
	return ticks
}

// countTicks are ticks for steps and epochs: whole and short.
func countTicks(low, high float64) []plot.Tick {
	var whole []plot.Tick
	for _, t := range roundTicks(low, high) {
		if t.Value != math.Trunc(t.Value) {
			continue
		}
		t.Label = strconv.FormatFloat(t.Value, 'f', -1, 64)
		if t.Value >= 10_000 {
			t.Label = strconv.FormatFloat(t.Value/1000, 'f', -1, 64) + "k"
		}
		whole = append(whole, t)
	}
	return whole
}

// drawWithLegend draws the panel with its legend in a column on the right.
func (p *panel) drawWithLegend(c draw.Canvas) {
	c = draw.Crop(c, 12, -12, 12, -12)
	column := p.legend.Rectangle(c).Size().X + vg.Points(16)
	p.Draw(draw.Crop(c, 0, -column, 0, 0))
	p.legend.Draw(draw.Crop(c, c.Max.X-c.Min.X-column+vg.Points(12), 0, 0, -vg.Points(28)))
}

// saveSVG writes a picture of the given size with a white ground.
func saveSVG(path string, width, height vg.Length, paint func(draw.Canvas)) error {
	svg := vgsvg.New(width, height)
	c := draw.New(svg)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	paint(c)
	var out bytes.Buffer
	if _, err := svg.WriteTo(&out); err != nil {
		return err
	}
	// Readers without the font that was measured get one of the same widths, not their serif default.
	fonts := []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")
	return replaceFile(path, bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans;"), fonts))
}
