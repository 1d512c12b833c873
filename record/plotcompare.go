package record

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/locus-learn/locus/internal/fault"
)

// Series is one of the runs that PlotCompare puts side by side.
type Series struct {
	Name   string // in the legend
	Epochs []Epoch
	Steps  []Step // may be empty: the loss is then drawn from the epochs
}

// PlotCompare draws several runs in one SVG at path: test accuracy and training loss of the last module against the step, and
// memory as bars, peak split into what rests between steps and what only a step needs. A run without events is a fault.
func PlotCompare(path string, runs []Series) error {
	if len(runs) == 0 {
		return fault.New("nothing to plot: no runs to compare")
	}
	accuracy := newChart("Test accuracy", "step", "accuracy (%)")
	loss := newChart("Training loss", "step", "loss")
	legend := newLegend()
	for i, run := range runs {
		if len(run.Epochs)+len(run.Steps) == 0 {
			return fault.New("nothing to plot: run %q has no steps and no epochs", run.Name)
		}
		style := distinct(i)
		if err := accuracy.curve(run.accuracy(), style); err != nil {
			return err
		}
		if err := loss.curve(run.loss(), style); err != nil {
			return err
		}
		legend.Add(run.Name, &plotter.Line{LineStyle: style})
	}
	accuracy.fit(0, 100)
	loss.fit(math.Inf(-1), math.Inf(1))
	memory, err := memoryPanel(runs)
	if err != nil {
		return err
	}

	const curves, margin = 9.5 * vg.Centimeter, 12
	bars := 2.6*vg.Centimeter + vg.Length(len(runs))*barPitch
	return saveSVG(path, 29*vg.Centimeter, curves+bars, func(c draw.Canvas) {
		c = draw.Crop(c, margin, -margin, margin, -margin)
		column := max(legend.Rectangle(c).Size().X, memory.legend.Rectangle(c).Size().X) + vg.Points(20)
		width, height := c.Max.X-c.Min.X, c.Max.Y-c.Min.Y
		side := draw.Crop(c, width-column+margin, 0, 0, -2*margin)
		half := (width - column) / 2
		accuracy.Draw(draw.Crop(c, 0, -half-column-margin, bars+margin, 0))
		loss.Draw(draw.Crop(c, half+margin, -column, bars+margin, 0))
		legend.Draw(draw.Crop(side, 0, 0, bars, 0))
		memory.Draw(draw.Crop(c, 0, -column, 0, bars-height-margin))
		memory.legend.Draw(draw.Crop(side, 0, 0, 0, bars-height-margin))
	})
}

func (p *panel) curve(points plotter.XYs, style draw.LineStyle) error {
	if len(points) == 0 {
		return nil
	}
	_, err := p.line(points, style)
	return err
}

func (s Series) accuracy() plotter.XYs {
	return single(perModule(s.Epochs, func(e Epoch) (int, []float64) { return e.Step, []float64{e.TestAcc} }))
}

func (s Series) loss() plotter.XYs {
	if len(s.Steps) == 0 {
		return single(perModule(s.Epochs, func(e Epoch) (int, []float64) { return e.Step, []float64{e.TrainLoss} }))
	}
	return single(perModule(s.Steps, func(s Step) (int, []float64) { return s.Step, []float64{s.Loss} }))
}

func single(lines []plotter.XYs) plotter.XYs {
	if len(lines) == 0 {
		return nil
	}
	return lines[0]
}

const (
	barWidth = 12 // points
	barPitch = 20 // points from bar to bar
)

// memoryPanel draws a bar for each run, the first on top.
func memoryPanel(runs []Series) (*panel, error) {
	p := newPanel("Memory", "peak of live tensors (MiB)", "")
	n := len(runs)
	resting, transient, names := make(plotter.Values, n), make(plotter.Values, n), make([]string, n)
	for i, run := range runs {
		row := n - 1 - i // bars count from the bottom
		var peak, rest int64
		for _, e := range run.Epochs {
			peak, rest = max(peak, e.PeakBytes), max(rest, e.RestingBytes)
		}
		resting[row] = float64(rest) / (1 << 20)
		transient[row] = float64(max(peak-rest, 0)) / (1 << 20)
		names[row] = run.Name
	}
	bottom, err := bar(resting, palette[0])
	if err != nil {
		return nil, err
	}
	top, err := bar(transient, palette[5])
	if err != nil {
		return nil, err
	}
	top.StackOn(bottom)
	ends, err := barEnds(bottom, top)
	if err != nil {
		return nil, err
	}
	p.Add(bottom, top, ends)
	p.NominalY(names...)
	p.X.Tick.Marker = plot.TickerFunc(roundTicks)
	p.X.Min, p.X.Max = 0, max(1.1*p.X.Max, 1) // room for the numbers behind the bars
	p.Y.Min, p.Y.Max = -0.6, float64(n)-0.4
	p.legend.Add("rests between steps", bottom)
	p.legend.Add("needed within a step", top)
	return p, nil
}

func bar(values plotter.Values, fill color.Color) (*plotter.BarChart, error) {
	chart, err := plotter.NewBarChart(values, vg.Points(barWidth))
	if err != nil {
		return nil, err
	}
	chart.Horizontal, chart.Color = true, fill
	chart.LineStyle.Width = 0
	return chart, nil
}

// barEnds writes the height of each stack behind its end.
func barEnds(bottom, top *plotter.BarChart) (*plotter.Labels, error) {
	var at plotter.XYLabels
	for i := range top.Values {
		total := bottom.Values[i] + top.Values[i]
		at.XYs = append(at.XYs, plotter.XY{X: total, Y: float64(i)})
		if total == 0 {
			at.Labels = append(at.Labels, "not measured")
		} else {
			at.Labels = append(at.Labels, fmt.Sprintf("%.1f", total))
		}
	}
	labels, err := plotter.NewLabels(at)
	if err != nil {
		return nil, err
	}
	labels.Offset.X = vg.Points(4)
	for i := range labels.TextStyle {
		labels.TextStyle[i].Font = sans(10)
		labels.TextStyle[i].YAlign = draw.YCenter
	}
	return labels, nil
}
