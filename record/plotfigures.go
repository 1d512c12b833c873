package record

import (
	"fmt"
	"math"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
)

// PlotDiagnosis draws what was diagnosed in a run into dir/plots/diagnosis.svg, a panel a quantity and a line a module.
func PlotDiagnosis(dir string, diagnoses []Diagnosis) error {
	var panels []*panel
	legend := newLegend()
	for _, q := range quantities {
		lines := perModule(diagnoses, func(d Diagnosis) (int, []float64) { return d.Step, q.of(d) })
		if q.title == "" {
			continue
		}
		p := newChart(q.title, "step", q.axis)
		n := 0
		for k, points := range lines {
			if len(points) > 0 {
				n++
			}
			if err := p.curve(points, moduleStyle(k, len(lines))); err != nil {
				return fmt.Errorf("plot of %s: %w", q.key, err)
			}
		}
		if n == 0 {
			continue
		}
		p.fit(math.Inf(-1), math.Inf(1))
		panels = append(panels, p)
	}
	modules := 0
	if len(diagnoses) > 0 {
		modules = len(diagnoses[0].Loss)
	}
	every := (modules + legendEntries - 1) / legendEntries
	for k := range modules {
		if k%every == 0 || k == modules-1 {
			legend.Add(fmt.Sprintf("module %d", k+1), &plotter.Line{LineStyle: moduleStyle(k, modules)})
		}
	}
	return saveGrid(filepath.Join(dir, "plots", "diagnosis.svg"), panels, 3, legend)
}

// PlotFigures draws runs side by side as the paper's figures do, into dir: agreement.svg, the SGR loss averaged over
// neighbours with the test accuracy beside it (Fig. 2); shift.svg, ΔL of modules (Fig. 3); and curves.svg, loss and
// accuracy in training and test (Fig. 4). A picture that some of it was not measured for is left out.
func PlotFigures(dir string, runs []Series) error {
	if err := disk.MkdirAll(dir); err != nil {
		return fault.New("cannot write the plots: %w", err)
	}
	legend := newLegend()
	for i, run := range runs {
		legend.Add(show.Name(run.Name), &plotter.Line{LineStyle: distinct(i)})
	}
	for _, f := range []struct {
		name    string
		columns int
		panels  []figurePanel
	}{
		{"agreement", 2, []figurePanel{
			{"SGR loss, mean over neighbours", "S(δ, r)", false, Series.meanSGR, (*panel).fitFromZero},
			{"Test accuracy", "accuracy (%)", false, Series.accuracy, (*panel).fitAccuracy},
		}},
		{"shift", shiftModules, shiftPanels(runs)},
		{"curves", 2, []figurePanel{
			{"Training loss", "loss", false, Series.epochLoss, (*panel).fitFromZero},
			{"Training accuracy", "accuracy (%)", false, Series.trainAccuracy, (*panel).fitAccuracy},
			{"Test loss", "loss", false, Series.testLoss, (*panel).fitFromZero},
			{"Test accuracy", "accuracy (%)", false, Series.accuracy, (*panel).fitAccuracy},
		}},
	} {
		var panels []*panel
		for _, p := range f.panels {
			drawn, err := p.draw(runs)
			if err != nil {
				return fmt.Errorf("plot of %s: %w", f.name, err)
			}
			if drawn != nil {
				panels = append(panels, drawn)
			}
		}
		if len(panels) < len(f.panels) {
			continue
		}
		if err := saveGrid(filepath.Join(dir, f.name+".svg"), panels, f.columns, legend); err != nil {
			return err
		}
	}
	return nil
}

// figurePanel has a line a run.
type figurePanel struct {
	title, axis string
	zero        bool // mark y = 0
	of          func(Series) plotter.XYs
	fit         func(*panel)
}

// draw returns no panel where no run has points.
func (f figurePanel) draw(runs []Series) (*panel, error) {
	p := newChart(f.title, "step", f.axis)
	end := 0.0
	for i, run := range runs {
		points := f.of(run)
		if err := p.curve(points, distinct(i)); err != nil {
			return nil, err
		}
		if len(points) > 0 {
			end = max(end, points[len(points)-1].X)
		}
	}
	if end == 0 {
		return nil, nil
	}
	if f.zero {
		line, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: end, Y: 0}})
		if err != nil {
			return nil, err
		}
		line.LineStyle = draw.LineStyle{Color: palette[6], Width: vg.Points(1), Dashes: dashes[1]}
		p.Add(line)
	}
	f.fit(p)
	return p, nil
}

const shiftModules = 3 // so many modules have a panel of ΔL: all of a net of four, as in the paper's figure

// shiftPanels has one for each of a few modules, the second and the last among them.
func shiftPanels(runs []Series) []figurePanel {
	modules := 0
	for _, run := range runs {
		if len(run.Diagnoses) > 0 {
			modules = max(modules, len(run.Diagnoses[0].Loss))
		}
	}
	if modules < 2 {
		return nil
	}
	n := min(shiftModules, modules-1)
	var panels []figurePanel
	for i := range n {
		k := modules - 1
		if n > 1 {
			k = 1 + i*(modules-2)/(n-1)
		}
		panels = append(panels, figurePanel{fmt.Sprintf("ΔL of module %d by the updates before it", k+1), "ΔL", true,
			func(s Series) plotter.XYs { return s.shift(k) }, func(p *panel) { p.fit(math.Inf(-1), math.Inf(1)) }})
	}
	return panels
}

// shift is ΔL of module k, from 0, on training batches, as the paper has it.
func (s Series) shift(k int) plotter.XYs {
	lines := perModule(s.Diagnoses, func(d Diagnosis) (int, []float64) { return d.Step, d.ShiftTrain })
	if k >= len(lines) {
		return nil
	}
	return lines[k]
}

func (s Series) meanSGR() plotter.XYs {
	return single(perModule(s.Diagnoses, func(d Diagnosis) (int, []float64) {
		sum, n := 0.0, 0.0
		for _, v := range d.SGRLoss {
			if !math.IsNaN(v) {
				sum, n = sum+v, n+1
			}
		}
		return d.Step, []float64{sum / n}
	}))
}

func (s Series) epochLoss() plotter.XYs {
	return s.perEpoch(func(e Epoch) *float64 { return &e.TrainLoss })
}
func (s Series) trainAccuracy() plotter.XYs {
	return s.perEpoch(func(e Epoch) *float64 { return e.TrainAcc })
}
func (s Series) testLoss() plotter.XYs {
	return s.perEpoch(func(e Epoch) *float64 { return e.TestLoss })
}

// perEpoch reads a value that epochs may have.
func (s Series) perEpoch(of func(Epoch) *float64) plotter.XYs {
	return single(perModule(s.Epochs, func(e Epoch) (int, []float64) {
		if v := of(e); v != nil {
			return e.Step, []float64{*v}
		}
		return e.Step, nil
	}))
}

// saveGrid draws panels row by row with one legend beside them; without panels it draws nothing.
func saveGrid(path string, panels []*panel, columns int, legend plot.Legend) error {
	if len(panels) == 0 {
		return nil
	}
	const width, height, margin = 10.5 * vg.Centimeter, 7.5 * vg.Centimeter, 12
	columns = min(columns, len(panels))
	rows := (len(panels) + columns - 1) / columns
	column := legend.Rectangle(draw.Canvas{}).Size().X + vg.Points(24)
	return saveSVG(path, vg.Length(columns)*width+column, vg.Length(rows)*height, func(c draw.Canvas) {
		for i, p := range panels {
			x, y := vg.Length(i%columns)*width, vg.Length(rows-1-i/columns)*height
			cell := draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
				Min: vg.Point{X: x + margin, Y: y + margin}, Max: vg.Point{X: x + width - margin/2, Y: y + height - margin},
			}}
			p.Draw(cell)
		}
		legend.Draw(draw.Crop(c, vg.Length(columns)*width+margin/2, 0, 0, -3*margin))
	})
}
