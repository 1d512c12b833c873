package record

import (
	"math"

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

	Diagnoses []Diagnosis // for PlotFigures alone
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
	memory, err := memoryBars(runs).panel()
	if err != nil {
		return err
	}

	const curves, margin = 9.5 * vg.Centimeter, 12
	bars := barsHeight(len(runs))
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

// memoryBars makes a bar for each run.
func memoryBars(runs []Series) Bars {
	chart := Bars{Title: "Memory", Axis: "peak of live tensors (MiB)", Parts: MemoryParts}
	for _, run := range runs {
		var peak, rest int64
		for _, e := range run.Epochs {
			peak, rest = max(peak, e.PeakBytes), max(rest, e.RestingBytes)
		}
		chart.Bars = append(chart.Bars, MemoryBar(run.Name, rest, peak))
	}
	return chart
}
