package report

import (
	"bytes"
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgpdf"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/locus-learn/locus/record"
)

// Width is how wide pictures are.
type Width string

// The widths of a column and of a page with two of them, as of ICML and most conferences.
const (
	Column Width = "column"
	Page   Width = "page"
)

func (w Width) size() (width, height vg.Length) {
	if w == Page {
		return 6.75 * vg.Inch, 3 * vg.Inch
	}
	return 3.25 * vg.Inch, 2.3 * vg.Inch
}

// figure is a picture of all groups. Dollar signs in its labels enclose mathematics.
type figure struct {
	name, x, y string
	about      string // for the page
	lines      []line
	counts     bool // x counts steps or modules
	percent    bool // y is between 0 and 100
	points     bool // no line joins them
	zero       bool // x begins at 0

	logarithmic bool // x is, and above 0
}

// drawing is a picture that can be rendered.
type drawing interface {
	title() (name, about string)
	size(Width) (width, height vg.Length)
	paint(draw.Canvas) error
	banded() bool // it has bands of a standard deviation
}

func (f figure) title() (name, about string)            { return f.name, f.about }
func (f figure) size(w Width) (width, height vg.Length) { return w.size() }

func (g Grouping) figures() []figure {
	measure := g.measure()
	title, axis := record.Titled(measure), "test "+measure+" (%)"
	all := []figure{
		{name: "memory", x: "peak of live tensors (MiB)", y: axis, points: true, percent: true,
			about: title + " against memory: up and left is better.", lines: g.lines(memoryPoint)},
		{name: "depth", x: "module $k$", y: axis, counts: true, percent: true,
			about: title + " of the head behind each module, from the input on.", lines: g.lines(depthPoints)},
		{name: "accuracy", x: "step", y: axis, counts: true, percent: true,
			about: title + " while training.", lines: g.lines(func(g Group) []point { return mean(g, accuracies) })},
		{name: "loss", x: "step", y: "training loss", counts: true,
			about: "Loss of the last module.", lines: g.lines(func(g Group) []point { return mean(g, losses) })},
		{name: "agreement", x: "step", y: "cosine of $δ$ and $r$", counts: true,
			about: "How far neighbours agree, averaged over them: 1 where both want the same change of the features between them.",
			lines: g.lines(func(g Group) []point { return mean(g, agreements) })},
	}
	var drawn []figure
	for _, f := range all {
		if f.worth() {
			drawn = append(drawn, f)
		}
	}
	return drawn
}

// worth says whether there is anything to see: a curve needs two points.
func (f figure) worth() bool {
	for _, l := range f.lines {
		if f.points || len(l.points) > 1 {
			return true
		}
	}
	return false
}

const (
	labelSize = 8 // points, as in a paper
	tickSize  = 7
)

// drawSVG renders a drawing, with the fonts in it or by their names alone.
func drawSVG(d drawing, w Width, fonts bool) ([]byte, error) {
	width, height := d.size(w)
	return render(d, vgsvg.NewWith(vgsvg.UseWH(width, height), vgsvg.EmbedFonts(fonts)), false)
}

// drawPDF renders a drawing with the fonts in it.
func drawPDF(d drawing, w Width) ([]byte, error) {
	width, height := d.size(w)
	return render(d, vgpdf.New(width, height), true)
}

// drawPNG renders a drawing at 300 dots an inch.
func drawPNG(d drawing, w Width) ([]byte, error) {
	width, height := d.size(w)
	return render(d, vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(300))}, false)
}

func render(d drawing, canvas vg.CanvasWriterTo, shapes bool) ([]byte, error) {
	var sized vg.CanvasSizer = canvas
	if shapes {
		sized = outlined{canvas}
	}
	c := draw.New(sized)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	if err := d.paint(c); err != nil {
		name, _ := d.title()
		return nil, fmt.Errorf("picture of %s: %w", name, err)
	}
	var b bytes.Buffer
	_, err := canvas.WriteTo(&b)
	return b.Bytes(), err
}

func (f figure) paint(c draw.Canvas) error {
	p, err := f.plot()
	if err != nil {
		return err
	}
	c = draw.Crop(c, 2, -4, 2, -2)
	p.Draw(draw.Crop(c, 0, 0, 0, -f.legend(c)))
	return nil
}

func (f figure) plot() (*plot.Plot, error) {
	p := plot.New()
	p.TextHandler = newMathText()
	p.X.Label.Text, p.Y.Label.Text = f.x, f.y
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font, axis.Tick.Label.Font = sans(labelSize), sans(tickSize)
		axis.Label.TextStyle.Handler, axis.Tick.Label.Handler = p.TextHandler, p.TextHandler
		axis.LineStyle.Width, axis.Tick.LineStyle.Width, axis.Tick.Length = 0.5, 0.5, 3
		axis.Padding = 2
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(record.Ticks), plot.TickerFunc(record.Ticks)
	if f.counts {
		p.X.Tick.Marker = plot.TickerFunc(record.CountTicks)
	}
	if f.logarithmic {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	for _, l := range f.lines {
		if err := f.add(p, l); err != nil {
			return nil, err
		}
	}
	f.fit(p)
	return p, nil
}

// style is that of a line at a paper's size.
func style(l line) draw.LineStyle {
	s := record.LineStyle(l.style)
	s.Width = 1
	return s
}

// add draws a line with its band, or points with whiskers.
func (f figure) add(p *plot.Plot, l line) error {
	s := style(l)
	var middle, band plotter.XYs
	var errors struct {
		plotter.XYs
		plotter.YErrors
	}
	for _, at := range l.points {
		middle = append(middle, plotter.XY{X: at.x, Y: at.y})
		band = append(band, plotter.XY{X: at.x, Y: at.low})
		if at.high > at.low {
			errors.YErrors = append(errors.YErrors, struct{ Low, High float64 }{at.y - at.low, at.high - at.y})
			errors.XYs = append(errors.XYs, plotter.XY{X: at.x, Y: at.y})
		}
	}
	for i := len(l.points) - 1; i >= 0; i-- {
		band = append(band, plotter.XY{X: l.points[i].x, Y: l.points[i].high})
	}
	if len(errors.XYs) > 0 && f.points {
		bars, err := plotter.NewYErrorBars(errors)
		if err != nil {
			return err
		}
		bars.LineStyle = draw.LineStyle{Color: s.Color, Width: 0.8}
		p.Add(bars)
	}
	if len(errors.XYs) > 0 && !f.points && len(l.points) > 1 {
		area, err := plotter.NewPolygon(band)
		if err != nil {
			return err
		}
		r, g, b, _ := s.Color.RGBA()
		area.Color, area.LineStyle.Width = color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 0x33}, 0
		p.Add(area)
	}
	curve, err := plotter.NewLine(middle)
	if err != nil {
		return err
	}
	curve.LineStyle = s
	if !f.points && !l.dots {
		p.Add(curve)
	}
	if f.points || l.dots || len(middle) <= 20 && !l.bare {
		dots, err := plotter.NewScatter(middle)
		if err != nil {
			return err
		}
		dots.GlyphStyle = draw.GlyphStyle{Color: s.Color, Radius: 1.8, Shape: draw.CircleGlyph{}}
		p.Add(dots)
	}
	return nil
}

// fit sets the axes: some air, accuracies within 0 and 100 and at least ten of them, so that noise does not look large.
func (f figure) fit(p *plot.Plot) {
	air := func(axis *plot.Axis, least float64) {
		more := max(0.05*(axis.Max-axis.Min), (least-(axis.Max-axis.Min))/2)
		axis.Min, axis.Max = axis.Min-more, axis.Max+more
	}
	if f.percent {
		air(&p.Y, 10)
		p.Y.Min, p.Y.Max = max(0, p.Y.Min), min(100, p.Y.Max)
	} else {
		air(&p.Y, 1e-6)
	}
	if f.logarithmic {
		return
	}
	if f.points {
		p.X.Min, p.X.Max = 0, 1.1*max(p.X.Max, 1)
		return
	}
	air(&p.X, 0)
	if f.zero {
		p.X.Min = 0
	}
}

// legend draws names in rows along the upper edge and returns their height.
func (f figure) legend(c draw.Canvas) vg.Length {
	const sample, gap, row = 14, 10, tickSize + 3
	sty := text.Style{Color: color.Black, Font: sans(tickSize), YAlign: draw.YCenter, Handler: newMathText()}
	x, y := c.Min.X, c.Max.Y-row/2
	for _, l := range f.lines {
		w := sample + 4 + sty.Width(l.name)
		if x > c.Min.X && x+w > c.Max.X {
			x, y = c.Min.X, y-row
		}
		s := style(l)
		if f.points || l.dots {
			c.DrawGlyph(draw.GlyphStyle{Color: s.Color, Radius: 1.8, Shape: draw.CircleGlyph{}}, vg.Point{X: x + sample/2, Y: y})
		} else {
			c.StrokeLine2(s, x, y, x+sample, y)
		}
		c.FillText(sty, vg.Point{X: x + sample + 4, Y: y}, l.name)
		x += w + gap
	}
	return c.Max.Y - y + row/2 + 2
}
