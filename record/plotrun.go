package record

import (
	"fmt"
	"image/color"
	"maps"
	"math"
	"path/filepath"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
)

const legendEntries = 10 // so many modules fit into a legend; of more, some in between go unnamed

// PlotRun draws one run into dir/plots, which it makes if need be: accuracy.svg, the accuracy of each head after each epoch;
// score-NAME.svg, what else heads are measured by; loss.svg, the training loss of each module; and reconciliation.svg, how
// well the gradients of neighbours agree. A picture without data is left out; if that leaves none, PlotRun returns a fault.
func PlotRun(dir string, epochs []Epoch, steps []Step) error {
	dir = filepath.Join(dir, "plots")
	if err := disk.MkdirAll(dir); err != nil {
		return fault.New("cannot write the plots: %w", err)
	}
	drawn := 0
	for _, p := range runPictures(epochs, steps) {
		ok, err := p.save(filepath.Join(dir, p.name+".svg"))
		if err != nil {
			return fmt.Errorf("plot of %s: %w", p.name, err)
		}
		if ok {
			drawn++
		}
	}
	if drawn == 0 {
		return fault.New("nothing to plot: %d steps and %d epochs with no finite number in them", len(steps), len(epochs))
	}
	return nil
}

// runPicture is a picture of one run, a line a module.
type runPicture struct {
	name, title, x, y string
	modules           []plotter.XYs
	format            string  // of the value a line ends with
	full              float64 // what a value can be at most, where one point a module makes bars; 0: it makes points
	fit               func(*panel)
}

func runPictures(epochs []Epoch, steps []Step) []runPicture {
	at, of := abscissa(epochs)
	all := []runPicture{
		{"accuracy", "Test " + measureOf(epochs) + " of each head", at, measureOf(epochs) + " (%)", headAccuracy(epochs, of), "%.1f %%", 100, (*panel).fitAccuracy},
		{"loss", "Training loss of each module", "step", "loss", moduleLoss(epochs, steps), "%.3f", 0, (*panel).fitFromZero},
		{"reconciliation", "Gradient agreement with the module before", "step", "cosine of δ_now and δ_prev (−1 … 1)",
			moduleCosine(epochs, steps), "%.2f", 0, func(p *panel) { p.fit(-1, 1) }},
	}
	names := Scores{}
	for _, e := range epochs {
		maps.Copy(names, e.Scores)
	}
	for _, name := range names.names() {
		values := perModule(epochs, func(e Epoch) (int, []float64) { return of(e), e.Scores[name] })
		all = append(all, runPicture{"score-" + name, name + " of each head, on the test set", at, name, values, "%.3g", 0,
			(*panel).fitFromZero})
	}
	return all
}

// save writes the picture and reports whether there was anything to draw.
func (r runPicture) save(path string) (bool, error) {
	if r.full > 0 && ends(r.modules) {
		return true, r.bars(path)
	}
	p := newChart(r.title, r.x, r.y)
	n, err := p.addModules(r.modules, r.format)
	if err != nil || n == 0 {
		return false, err
	}
	r.fit(p)
	return true, saveSVG(path, 18*vg.Centimeter, 10.5*vg.Centimeter, p.drawWithLegend)
}

// ends says whether some module has a point, and none a second one: then there is no curve to draw.
func ends(modules []plotter.XYs) bool {
	most := 0
	for _, points := range modules {
		most = max(most, len(points))
	}
	return most == 1
}

// bars draws the one value of each module.
func (r runPicture) bars(path string) error {
	chart := Bars{Title: r.title, Axis: r.y, Parts: []string{r.name}, Full: r.full}
	for k, points := range r.modules {
		bar := Bar{Name: fmt.Sprintf("module %d", k+1), Label: "–", Parts: []float64{0}}
		if k == len(r.modules)-1 {
			bar.Name += " (last)"
		}
		if len(points) > 0 {
			bar.Label, bar.Parts[0] = fmt.Sprintf(r.format, points[0].Y), points[0].Y
		}
		chart.Bars = append(chart.Bars, bar)
	}
	return PlotBars(path, chart)
}

// addModules draws a line for each module that has points, the last one strong, and returns how many it drew.
func (p *panel) addModules(modules []plotter.XYs, format string) (int, error) {
	drawn := 0
	every := (len(modules) + legendEntries - 1) / legendEntries
	for k, points := range modules {
		if len(points) == 0 {
			continue
		}
		last := k == len(modules)-1
		thumbs, err := p.line(points, moduleStyle(k, len(modules)))
		if err != nil {
			return drawn, err
		}
		drawn++
		if last || k%every == 0 {
			name := fmt.Sprintf("module %d: "+format, k+1, points[len(points)-1].Y)
			if last {
				name += " (last)"
			}
			p.legend.Add(name, thumbs...)
		}
	}
	return drawn, nil
}

// moduleStyle shades modules from light to dark blue in their order, and sets the last one, whose head is the network's, off.
func moduleStyle(k, modules int) draw.LineStyle {
	if k == modules-1 {
		return draw.LineStyle{Color: palette[1], Width: vg.Points(2.4)}
	}
	light, dark := [3]float64{0x8c, 0xc4, 0xec}, [3]float64{0x08, 0x30, 0x6b}
	t := float64(k) / float64(max(modules-2, 1))
	mix := func(i int) uint8 { return uint8(light[i] + t*(dark[i]-light[i])) }
	return draw.LineStyle{Color: color.RGBA{mix(0), mix(1), mix(2), 0xff}, Width: vg.Points(1.4)}
}

// abscissa is what evaluations are drawn over: their epochs or, where one has several, their steps.
func abscissa(epochs []Epoch) (name string, of func(Epoch) int) {
	for i, e := range epochs[min(1, len(epochs)):] {
		if e.Epoch == epochs[i].Epoch {
			return "step", func(e Epoch) int { return e.Step }
		}
	}
	return "epoch", func(e Epoch) int { return e.Epoch }
}

func headAccuracy(epochs []Epoch, at func(Epoch) int) []plotter.XYs {
	return perModule(epochs, func(e Epoch) (int, []float64) {
		if len(e.ModuleAcc) == 0 {
			return at(e), []float64{e.TestAcc}
		}
		return at(e), e.ModuleAcc
	})
}

func moduleLoss(epochs []Epoch, steps []Step) []plotter.XYs {
	if len(steps) == 0 {
		return perModule(epochs, func(e Epoch) (int, []float64) { return e.Step, []float64{e.TrainLoss} })
	}
	return perModule(steps, func(s Step) (int, []float64) {
		if len(s.ModuleLoss) == 0 {
			return s.Step, []float64{s.Loss}
		}
		return s.Step, s.ModuleLoss
	})
}

func moduleCosine(epochs []Epoch, steps []Step) []plotter.XYs {
	if len(steps) == 0 {
		return perModule(epochs, func(e Epoch) (int, []float64) { return e.Step, e.SGRCos })
	}
	return perModule(steps, func(s Step) (int, []float64) { return s.Step, s.SGRCos })
}

// perModule turns events, each with an x and a value for every module, into one line a module. What is not finite is left out.
func perModule[E any](events []E, read func(E) (x int, values []float64)) []plotter.XYs {
	var lines []plotter.XYs
	for _, e := range events {
		x, values := read(e)
		for k, y := range values {
			if k == len(lines) {
				lines = append(lines, nil)
			}
			if !math.IsNaN(y) && !math.IsInf(y, 0) {
				lines[k] = append(lines[k], plotter.XY{X: float64(x), Y: y})
			}
		}
	}
	return lines
}
