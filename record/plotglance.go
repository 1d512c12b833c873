package record

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/locus-learn/locus/internal/show"
)

// leastSpan is how many per cent an axis of accuracies shows at least: on less, noise looks like a difference.
const leastSpan = 20

// glance draws a point a run, its last test accuracy over its peak memory, and returns nil where no run has both. Bars tell how
// far the accuracy on all images that there could be may be from that on the test set. They know nothing of other seeds.
func glance(runs []Series) *panel {
	measure := measureOf(runs[0].Epochs)
	p := newChart(Titled(measure)+" against memory: up and left is better", "peak of live tensors (MiB)", "test "+measure+" (%)")
	p.X.Tick.Marker = plot.TickerFunc(roundTicks)
	var points tags
	for i, run := range runs {
		peak, _ := run.memory()
		values := run.accuracy()
		if peak == 0 || len(values) == 0 {
			continue
		}
		t := tag{x: float64(peak) / (1 << 20), y: values[len(values)-1].Y, style: distinct(i)}
		t.low, t.high = t.y, t.y
		if run.TestImages > 0 && measureOf(run.Epochs) == accuracy {
			t.low, t.high = interval(t.y, run.TestImages)
			p.X.Label.Text = "peak of live tensors (MiB)\nbars: 95 % interval, by the number of test images"
		}
		t.text = fmt.Sprintf("%s: %s %%, %s MiB", show.Name(run.Name), percent(t.y, 1), mebibytes(peak))
		points = append(points, t)
	}
	if len(points) == 0 {
		return nil
	}
	p.Add(points)
	p.fitAccuracy()
	p.X.Min, p.X.Max = 0, 1.1*p.X.Max
	return p
}

// fitAccuracy sets the axes of a chart of per cents once all is drawn.
func (p *panel) fitAccuracy() {
	if missing := leastSpan - (p.Y.Max - p.Y.Min); missing > 0 && p.Y.Min <= p.Y.Max {
		p.Y.Min, p.Y.Max = p.Y.Min-missing/2, p.Y.Max+missing/2
		if over := p.Y.Max - 100; over > 0 {
			p.Y.Min, p.Y.Max = p.Y.Min-over, 100
		}
		if p.Y.Min < 0 {
			p.Y.Min, p.Y.Max = 0, min(p.Y.Max-p.Y.Min, 100)
		}
	}
	p.fit(0, 100)
}

// fitFromZero sets the axes of a chart once all is drawn, and has heights begin at 0 unless some are below.
func (p *panel) fitFromZero() {
	low := math.Inf(-1)
	if p.Y.Min > 0 {
		low = 0
		if p.Y.Min <= p.Y.Max { // something was drawn
			p.Y.Min = 0
		}
	}
	p.fit(low, math.Inf(1))
}

// interval is Wilson's 95 % interval (1927) of an accuracy in per cent that was measured on n images.
func interval(accuracy float64, n int) (low, high float64) {
	const z = 1.96
	p, m := accuracy/100, float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return 100 * (middle - half), 100 * (middle + half)
}

// tag is a point with a text beside it, and a bar through it.
type tag struct {
	x, y      float64
	low, high float64
	text      string
	style     draw.LineStyle
}

// tags draws points whose texts keep clear of each other and of all points.
type tags []tag

// DataRange implements plot.DataRanger.
func (t tags) DataRange() (xmin, xmax, ymin, ymax float64) {
	xmin, ymin, xmax, ymax = math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, tag := range t {
		xmin, xmax = min(xmin, tag.x), max(xmax, tag.x)
		ymin, ymax = min(ymin, tag.low), max(ymax, tag.high)
	}
	return
}

// Plot implements plot.Plotter.
func (t tags) Plot(c draw.Canvas, p *plot.Plot) {
	const radius = vg.Length(5)
	toX, toY := p.Transforms(&c)
	at := make([]vg.Point, len(t))
	var taken []vg.Rectangle
	for i, tag := range t {
		at[i] = vg.Point{X: toX(tag.x), Y: toY(tag.y)}
		taken = append(taken, around(at[i], radius))
	}
	order := make([]int, len(t))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return int(math.Copysign(1, t[j].y-t[i].y)) })
	for _, i := range order {
		style := draw.TextStyle{
			Font: sans(11), Color: palette[6], YAlign: draw.YCenter, Handler: plot.DefaultTextHandler,
		}
		box := place(c.Rectangle, at[i], vg.Point{X: style.Width(t[i].text), Y: style.Height(t[i].text)}, taken)
		taken = append(taken, box)
		middle := vg.Point{X: box.Min.X, Y: (box.Min.Y + box.Max.Y) / 2}
		if math.Abs(float64(middle.Y-at[i].Y)) > 1 {
			end := middle
			if middle.X < at[i].X {
				end.X = box.Max.X
			}
			c.StrokeLine2(draw.LineStyle{Color: t[i].style.Color, Width: vg.Points(0.8)}, at[i].X, at[i].Y, end.X, end.Y)
		}
		c.FillText(style, middle, t[i].text)
	}
	for i, tag := range t {
		if tag.high > tag.low {
			tag.bar(c, at[i].X, toY)
		}
		c.DrawGlyph(draw.GlyphStyle{Color: tag.style.Color, Radius: radius, Shape: draw.CircleGlyph{}}, at[i])
	}
}

// bar draws the interval of a point.
func (t tag) bar(c draw.Canvas, x vg.Length, toY func(float64) vg.Length) {
	const half = vg.Length(4) // of the strokes at its ends
	style := draw.LineStyle{Color: t.style.Color, Width: vg.Points(1)}
	low, high := toY(t.low), toY(t.high)
	c.StrokeLine2(style, x, low, x, high)
	for _, y := range []vg.Length{low, high} {
		c.StrokeLine2(style, x-half, y, x+half, y)
	}
}

// place finds room for a text of the given size near a point: to its right, to its left, then further up or down.
func place(within vg.Rectangle, at, size vg.Point, taken []vg.Rectangle) vg.Rectangle {
	const gap = vg.Length(9)
	var first *vg.Rectangle
	for step := range 20 {
		dy := vg.Length((step+1)/2) * (size.Y + 3)
		if step%2 == 0 {
			dy = -dy
		}
		for _, x := range []vg.Length{at.X + gap, at.X - gap - size.X} {
			box := vg.Rectangle{Min: vg.Point{X: x, Y: at.Y + dy - size.Y/2}}
			box.Max = box.Min.Add(size)
			if box.Min.X < within.Min.X || box.Max.X > within.Max.X || box.Min.Y < within.Min.Y || box.Max.Y > within.Max.Y {
				continue
			}
			if first == nil {
				first = &box
			}
			if !slices.ContainsFunc(taken, func(r vg.Rectangle) bool { return overlap(r, box) }) {
				return box
			}
		}
	}
	if first != nil { // as crowded as that: better one on another than none
		return *first
	}
	return vg.Rectangle{Min: at, Max: at.Add(size)}
}

func around(at vg.Point, radius vg.Length) vg.Rectangle {
	r := vg.Point{X: radius, Y: radius}
	return vg.Rectangle{Min: at.Sub(r), Max: at.Add(r)}
}

func overlap(a, b vg.Rectangle) bool {
	return a.Min.X < b.Max.X && b.Min.X < a.Max.X && a.Min.Y < b.Max.Y && b.Min.Y < a.Max.Y
}
