package plan

import (
	"fmt"
	"slices"

	"github.com/locus-learn/locus/model"
)

// Point is a way to train a network, with what a step takes.
type Point struct {
	Method     string     `json:"method"`
	Checkpoint string     `json:"checkpoint"` // method.checkpoint
	Modules    int        `json:"modules"`
	Cuts       []string   `json:"cuts"`
	PeakBytes  int64      `json:"peak_bytes"`
	Seconds    float64    `json:"seconds"` // sums of single pieces, without the optimizers; what comes and goes at 500 MB/s
	Streaming  *Streaming `json:"streaming,omitempty"`
	Best       bool       `json:"best"`                // nothing beats it in time and memory; bp, whose gradient is another one, only by bp
	BeatenBy   string     `json:"beaten_by,omitempty"` // a way of back-propagation that takes less of both
}

// Name tells a point from others: "sgr K=3, checkpoints sqrt".
func (p Point) Name() string {
	name := p.Method
	if p.Modules > 1 {
		name += fmt.Sprintf(" K=%d", p.Modules)
	}
	if p.Checkpoint != "none" {
		name += ", checkpoints " + p.Checkpoint
	}
	if p.Streaming != nil {
		name += fmt.Sprintf(", resident %d", p.Streaming.Resident)
	}
	return name
}

// Visit is how many batches a module trains on in a row where a frontier has only some modules in memory.
const Visit = 8

// Frontier predicts steps of global back-propagation, with checkpoints and without, and of methods with local losses at
// every number of modules that is worth a look, with checkpoints inside modules and without. Of the first of these methods,
// it also predicts steps with one module in memory. Points are in that order; those that nothing beats are marked.
func Frontier(spec model.Spec, batch int, methods []string) (points []Point, err error) {
	spec.Method.Resident, spec.Method.Pipeline = 0, 0
	methods = slices.DeleteFunc(slices.Clone(methods), func(name string) bool { return name == "bp" })
	for i, name := range append([]string{"bp"}, methods...) {
		checkpoints := []string{"none", "blocks"}
		if name == "bp" {
			checkpoints = append(checkpoints, "sqrt")
		}
		for _, checkpoint := range checkpoints {
			spec.Method.Name, spec.Method.Checkpoint = name, checkpoint
			more, err := ways(spec, batch, i == 1)
			if err != nil {
				return nil, err
			}
			points = append(points, more...)
		}
	}
	rank(points)
	return points, nil
}

// ways predicts a method at every number of modules, and with one of them in memory where that is asked for.
func ways(spec model.Spec, batch int, streams bool) (points []Point, err error) {
	spec.Method.Cuts = []string{"auto"}
	p, err := New(spec, Options{Most: batch, Timings: 1})
	if err != nil {
		return nil, err
	}
	defer p.Free()
	counts := p.Counts()
	if p.Divides() {
		counts = slices.DeleteFunc(counts, func(k int) bool { return k == 1 })
		if spec.Method.Checkpoint == "blocks" { // a module of one block has no checkpoint inside
			counts = slices.DeleteFunc(counts, func(k int) bool { return k == p.Blocks() })
		}
	}
	for _, k := range counts {
		r, err := p.Plan(k, batch, Memory)
		if err != nil {
			return nil, err
		}
		points = append(points, pointOf(spec, r))
		if streams && p.Divides() {
			points = append(points, pointOf(spec, p.Streamed(r, 1, Visit)))
		}
	}
	return points, nil
}

func pointOf(spec model.Spec, r Prediction) Point {
	seconds := Way{Prediction: r, Accumulate: 1}.seconds()
	return Point{
		Method: spec.Method.Name, Checkpoint: spec.Method.Checkpoint, Modules: len(r.Modules), Cuts: r.Cuts, PeakBytes: r.PeakBytes,
		Seconds: seconds, Streaming: r.Streaming,
	}
}

// rank finds the points that nothing beats, and those that back-propagation beats.
func rank(points []Point) {
	for i := range points {
		p := &points[i]
		p.Best = true
		for _, q := range points {
			less := q.Seconds < p.Seconds || q.PeakBytes < p.PeakBytes
			if p.Method == "bp" && q.Method != "bp" {
				continue
			}
			if less && q.Seconds <= p.Seconds && q.PeakBytes <= p.PeakBytes {
				p.Best = false
			}
			if q.Method == "bp" && p.Method != "bp" && q.Seconds < p.Seconds && q.PeakBytes < p.PeakBytes && p.BeatenBy == "" {
				p.BeatenBy = q.Name()
			}
		}
	}
}
