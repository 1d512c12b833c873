package record

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
)

// Series is one of the runs that PlotCompare puts side by side.
type Series struct {
	Name       string // in the legend
	TestImages int    // that accuracies are of, for the interval that they leave open; 0 where that is not known
	Epochs     []Epoch
	Steps      []Step // may be empty: the loss is then drawn from the epochs

	Diagnoses []Diagnosis // for PlotFigures alone
}

// PlotCompare draws several runs in one SVG at path: a point a run that says accuracy against memory at a glance; the
// training loss of the last module and, where a run has two epochs, its test accuracy against the step; and memory as
// bars, peak split into what rests between steps and what only a step needs. A run without events is a fault.
func PlotCompare(path string, runs []Series) error {
	if len(runs) == 0 {
		return fault.New("nothing to plot: no runs to compare")
	}
	legend := newLegend()
	epochs := 0
	for i, run := range runs {
		if len(run.Epochs)+len(run.Steps) == 0 {
			return fault.New("nothing to plot: run %q has no steps and no epochs", run.Name)
		}
		epochs = max(epochs, len(run.accuracy()))
		legend.Add(show.Name(run.Name), &plotter.Line{LineStyle: distinct(i)})
	}
	measure := measureOf(runs[0].Epochs)
	var panels []*panel
	if p := glance(runs); p != nil {
		panels = append(panels, p)
	}
	if epochs > 1 {
		accuracy, err := curves(runs, "Test "+measure, measure+" (%)", Series.accuracy)
		if err != nil {
			return err
		}
		accuracy.fitAccuracy()
		panels = append(panels, accuracy)
	}
	loss, err := curves(runs, "Training loss", "loss", Series.loss)
	if err != nil {
		return err
	}
	loss.fitFromZero()
	memory, err := memoryBars(runs).panel()
	if err != nil {
		return err
	}
	return saveCompared(path, append(panels, loss), legend, memory, barsHeight(len(runs)))
}

// curves draws a line a run.
func curves(runs []Series, title, y string, of func(Series) plotter.XYs) (*panel, error) {
	p := newChart(title, "step", y)
	for i, run := range runs {
		if err := p.curve(of(run), distinct(i)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// saveCompared puts panels into one row, their legend beside them, and the memory below.
func saveCompared(path string, panels []*panel, legend plot.Legend, memory *panel, bars vg.Length) error {
	const width, height, margin = 11.5 * vg.Centimeter, 9.5 * vg.Centimeter, 12
	column := max(legend.Rectangle(draw.Canvas{}).Size().X, memory.legend.Rectangle(draw.Canvas{}).Size().X) + vg.Points(30)
	row := vg.Length(len(panels)) * width
	return saveSVG(path, row+column, height+bars, func(c draw.Canvas) {
		c = draw.Crop(c, margin, -margin, margin, -margin)
		top := draw.Crop(c, 0, 0, bars, 0)
		for i, p := range panels {
			left := vg.Length(i) * width
			p.Draw(draw.Crop(top, left, left+width-margin-(c.Max.X-c.Min.X), 0, 0))
		}
		side := row - margin
		legend.Draw(draw.Crop(top, side, 0, 0, -2*margin))
		below := draw.Crop(c, 0, 0, 0, bars-(c.Max.Y-c.Min.Y)-margin)
		memory.Draw(draw.Crop(below, 0, side-margin-(c.Max.X-c.Min.X), 0, 0))
		memory.legend.Draw(draw.Crop(below, side, 0, 0, -2*margin))
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
		peak, rest := run.memory()
		chart.Bars = append(chart.Bars, MemoryBar(show.Name(run.Name), rest, peak))
	}
	return chart
}

// memory is the most that an epoch reported, 0 where none did.
func (s Series) memory() (peak, resting int64) {
	for _, e := range s.Epochs {
		peak, resting = max(peak, e.PeakBytes), max(resting, e.RestingBytes)
	}
	return peak, resting
}
