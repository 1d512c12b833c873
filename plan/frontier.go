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
	Seconds    float64    `json:"seconds"` // predicted: sums of single pieces, without the optimizers; what comes and goes at 500 MB/s
	Streaming  *Streaming `json:"streaming,omitempty"`
	Measured   bool       `json:"measured"`            // peak and seconds are those of whole steps
	Best       bool       `json:"best"`                // no way of the same method or of bp takes less of both, with as much at hand
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

// FrontierOptions say which ways a frontier has.
type FrontierOptions struct {
	Methods []string // with local losses, beside bp
	Modules []int    // their numbers; nil: all that are worth a look
	Streams bool     // of the first of these methods, also one module in memory

	Plan Options // of the planners; Most is set

	// Measure, unless nil, returns peak and seconds of whole steps of a spec, in place of what is predicted.
	Measure func(spec model.Spec) (peak int64, seconds float64, err error)
	// Found, unless nil, is called when another way has been looked at, with their number so far.
	Found func(ways int)
}

// checkpoints are the values of method.checkpoint that a frontier has.
var checkpoints = []string{"none", "blocks", "sqrt"}

// Frontier tells what steps take of global back-propagation and of methods with local losses at numbers of modules, each with
// checkpoints and without. Points are in that order; those that nothing beats are marked. A method is beaten by its own kind
// and by bp: local losses learn other things than each other, and less than bp. What needs a disk beats nothing that does not.
// With an error come the points that were found before it, compared with each other.
func Frontier(spec model.Spec, batch int, o FrontierOptions) (points []Point, err error) {
	spec.Method.Resident, spec.Method.Pipeline = 0, 0
	methods := slices.DeleteFunc(slices.Clone(o.Methods), func(name string) bool { return name == "bp" })
	o.Plan.Most, o.Plan.Blocks = batch, Lines{}
	for i, name := range append([]string{"bp"}, methods...) {
		for _, checkpoint := range checkpoints {
			spec.Method.Name, spec.Method.Checkpoint = name, checkpoint
			points, err = o.ways(points, spec, batch, o.Streams && i == 1)
			if err != nil {
				rank(points)
				return points, err
			}
		}
	}
	rank(points)
	return points, nil
}

// ways appends what a method takes at the numbers of modules, and with one of them in memory where that is asked for.
func (o FrontierOptions) ways(points []Point, spec model.Spec, batch int, streams bool) ([]Point, error) {
	spec.Method.Cuts = []string{"auto"}
	p, err := New(spec, o.Plan)
	if err != nil {
		return points, err
	}
	defer p.Free()
	for _, k := range o.counts(p) {
		r, err := p.Plan(k, batch, Memory)
		if err != nil {
			return points, err
		}
		if p.checkpoints != nil && !p.inside(r) {
			continue
		}
		ways := []Prediction{r}
		if streams && p.Divides() {
			ways = append(ways, p.Streamed(r, 1, Visit, false))
		}
		for _, r := range ways {
			point, err := o.point(spec, r)
			if err != nil {
				return points, err
			}
			points = append(points, point)
			if o.Found != nil {
				o.Found(len(points))
			}
		}
	}
	return points, nil
}

// counts lists the numbers of modules that a method is looked at with. One module is bp's.
func (o FrontierOptions) counts(p *Planner) []int {
	if !p.Divides() {
		return []int{1}
	}
	all := p.Counts()
	if o.Modules != nil {
		all = slices.Clone(o.Modules)
	}
	return slices.DeleteFunc(all, func(k int) bool { return k < 2 || k > p.Blocks() })
}

// inside reports whether checkpoints lie inside any of the modules.
func (p *Planner) inside(r Prediction) bool {
	return slices.ContainsFunc(r.Modules, func(m Module) bool { return len(p.checkpoints.Lengths(len(m.Blocks))) > 1 })
}

// point is a way as it was predicted, or measured.
func (o FrontierOptions) point(spec model.Spec, r Prediction) (p Point, err error) {
	p = Point{
		Method: spec.Method.Name, Checkpoint: spec.Method.Checkpoint, Modules: len(r.Modules), Cuts: r.Cuts, PeakBytes: r.PeakBytes,
		Seconds: Way{Prediction: r, Accumulate: 1}.seconds(), Streaming: r.Streaming,
	}
	if o.Measure == nil {
		return p, nil
	}
	spec.Method.Modules, spec.Method.Cuts = p.Modules, p.Cuts
	if s := r.Streaming; s != nil {
		spec.Method.Resident, spec.Method.Visit = s.Resident, s.Visit
	}
	p.Measured = true
	p.PeakBytes, p.Seconds, err = o.Measure(spec)
	return p, err
}

// rank finds the points that nothing beats, and those that back-propagation beats.
func rank(points []Point) {
	for i := range points {
		p := &points[i]
		p.Best = true
		for _, q := range points {
			if q.Method != "bp" && q.Method != p.Method || q.Streaming != nil && p.Streaming == nil {
				continue
			}
			less := q.Seconds < p.Seconds || q.PeakBytes < p.PeakBytes
			if less && q.Seconds <= p.Seconds && q.PeakBytes <= p.PeakBytes {
				p.Best = false
			}
			if q.Method == "bp" && p.Method != "bp" && q.Seconds < p.Seconds && q.PeakBytes < p.PeakBytes && p.BeatenBy == "" {
				p.BeatenBy = q.Name()
			}
		}
	}
}
