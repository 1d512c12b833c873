package report

import (
	"math"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/sample"
	"github.com/locus-learn/locus/internal/show"
)

// line is a group's in a figure: at each x the mean of its runs, and the band of a standard deviation around it.
type line struct {
	name   string
	style  int // which of several equal lines
	points []point
	dots   bool // no line joins them
	bare   bool // a line without dots, however few points it has
}

// point has low = high = y where there is one run.
type point struct{ x, y, low, high float64 }

func pointOf(x float64, s sample.Sample) point {
	p := point{x, s.Mean, s.Mean, s.Mean}
	if s.N > 1 {
		p.low, p.high = s.Mean-s.SD, s.Mean+s.SD
	}
	return p
}

// xy is a value that a run had at some step.
type xy struct{ x, y float64 }

// mean joins the curves of a group's runs. Where a run has no value at an x that others have, the mean is that of the others.
func mean(g Group, of func(Run) []xy) []point {
	at := map[float64][]float64{}
	for _, r := range g.Runs {
		for _, p := range of(r) {
			if !math.IsNaN(p.y) && !math.IsInf(p.y, 0) {
				at[p.x] = append(at[p.x], p.y)
			}
		}
	}
	var points []point
	for x, values := range at {
		points = append(points, pointOf(x, sample.Of(values)))
	}
	slices.SortFunc(points, func(a, b point) int { return int(math.Copysign(1, a.x-b.x)) })
	return thin(points, 150)
}

// thin averages neighbours until at most n points are left: more would be noise and file size.
func thin(points []point, n int) []point {
	if len(points) <= n {
		return points
	}
	out := make([]point, n)
	for i := range out {
		bucket := points[i*len(points)/n : (i+1)*len(points)/n]
		for _, p := range bucket {
			w := 1 / float64(len(bucket))
			out[i].x, out[i].y, out[i].low, out[i].high = out[i].x+w*p.x, out[i].y+w*p.y, out[i].low+w*p.low, out[i].high+w*p.high
		}
	}
	return out
}

func accuracies(r Run) []xy {
	var out []xy
	for _, e := range r.Log.Epochs {
		out = append(out, xy{float64(e.Step), e.TestAcc})
	}
	return out
}

func losses(r Run) []xy {
	var out []xy
	for _, s := range r.Log.Steps {
		out = append(out, xy{float64(s.Step), s.Loss})
	}
	return out
}

// agreements are the cosines of δ and r, averaged over the neighbours: of each step where a method computes them, and
// otherwise of each diagnosis.
func agreements(r Run) []xy {
	var out []xy
	for _, s := range r.Log.Steps {
		out = appendMean(out, s.Step, s.SGRCos)
	}
	if len(out) > 0 {
		return out
	}
	for _, d := range r.Log.Diagnoses {
		out = appendMean(out, d.Step, d.SGRCos)
	}
	return out
}

func appendMean(to []xy, step int, values []float64) []xy {
	if s := sample.Of(values); s.N > 0 {
		return append(to, xy{float64(step), s.Mean})
	}
	return to
}

// lines has one for each group with points.
func (g Grouping) lines(of func(Group) []point) []line {
	var out []line
	for i, group := range g.Groups {
		if points := of(group); len(points) > 0 {
			out = append(out, line{name: g.legend(group), style: i, points: points})
		}
	}
	return out
}

// legend is a group's name in pictures, as mathematics where a paper has a letter for a key.
func (g Grouping) legend(of Group) string {
	var parts []string
	for i, v := range of.Values {
		v = strings.ReplaceAll(show.Line(v), "$", "")
		key := g.By[i]
		letter := map[string]string{"method.lambda": "$λ$", "method.modules": "$K$", "optim.lr": "$η$"}[key]
		switch {
		case letter != "":
			v = letter + " = " + v
		case !strings.HasSuffix(key, ".name"):
			v = key[strings.LastIndex(key, ".")+1:] + " " + v
		}
		parts = append(parts, v)
	}
	return strings.Join(parts, ", ")
}

// depthPoints has one for each module.
func depthPoints(g Group) []point {
	var out []point
	for k, s := range g.depth() {
		if s.N > 0 {
			out = append(out, pointOf(float64(k+1), s))
		}
	}
	return out
}

// memoryPoint is the accuracy over the peak of memory.
func memoryPoint(g Group) []point {
	acc, mib := g.of(accuracy), g.of(peak)
	if acc.N == 0 || mib.Mean <= 0 {
		return nil
	}
	return []point{pointOf(mib.Mean, acc)}
}
