package plan

import (
	"math"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/torch"
)

// Goal is what cuts are chosen for.
type Goal string

const (
	Memory Goal = "memory" // the least peak of a step in lock-step
	Time   Goal = "time"   // the least time of the slowest module, which sets a pipeline's pace
)

// stepKey is what the estimate of a module depends on at one batch size.
type stepKey struct {
	from, end int
	objective *objective
}

// Ends returns the number of blocks in front of each module's end for the K modules that meet the goal best at a batch
// size: the largest module is as small as can be and, among such cuts, the modules are most alike.
func (p *Planner) Ends(modules, batch int, goal Goal) (ends []int, err error) {
	defer torch.Catch(&err)
	defer catchStop(&err)
	if !p.Divides() {
		modules = 1
	}
	if err := p.enough(modules); err != nil {
		return nil, err
	}
	var refusal error
	cost := p.costs(batch, goal, &refusal)
	largest, _ := partition(len(p.blocks), modules, cost, math.Max)
	if math.IsInf(largest, 1) {
		return nil, refusal
	}
	_, ends = partition(len(p.blocks), modules, func(m span) float64 {
		c := cost(m)
		if c > largest {
			return math.Inf(1)
		}
		return c / largest * c / largest
	}, add)
	return ends, nil
}

// EndsOfRuns is [Planner.Ends] for processes that each have a run of so many modules: the slowest process takes as little time
// as can be, and the modules of a run are as even as can be.
func (p *Planner) EndsOfRuns(runs []int, batch int) (ends []int, err error) {
	defer torch.Catch(&err)
	defer catchStop(&err)
	modules := 0
	for _, n := range runs {
		modules += n
	}
	if err := p.enough(modules); err != nil {
		return nil, err
	}
	var refusal error
	slowest, ends := partitionRuns(len(p.blocks), runs, p.costs(batch, Time, &refusal))
	if math.IsInf(slowest, 1) {
		return nil, refusal
	}
	return ends, nil
}

// enough returns a fault unless there are blocks for so many modules.
func (p *Planner) enough(modules int) error {
	if modules < 1 || modules > len(p.blocks) {
		return fault.New("method.modules is %d: must be between 1 and the number of blocks, %d", modules, len(p.blocks))
	}
	return nil
}

// costs returns what a module costs by a goal, at a batch size: without bounds where there can be no cut, and refusal says why.
func (p *Planner) costs(batch int, goal Goal, refusal *error) func(span) float64 {
	if p.batch != batch {
		p.batch, p.steps = batch, map[stepKey]estimate{}
	}
	return func(m span) float64 {
		t := p.objective(m.end, m.k, m.of)
		if t.err != nil {
			*refusal = t.err
			return math.Inf(1)
		}
		key := stepKey{m.from, m.end, t}
		e, ok := p.steps[key]
		if !ok {
			e = p.step(m, batch)
			p.steps[key] = e
		}
		if goal == Time {
			return e.seconds
		}
		return e.peak
	}
}

func add(a, b float64) float64 { return a + b }

// partitionRuns divides n blocks into runs of so many spans. The largest run, the sum of its spans' costs, is as small as can
// be; within a run the squares of the costs are.
func partitionRuns(n int, runs []int, cost func(span) float64) (largest float64, ends []int) {
	modules, before := 0, make([]int, len(runs)) // modules in front of each run
	for r, k := range runs {
		before[r] = modules
		modules += k
	}
	within := func(m span) []int { // ends of the spans of a run, nil where it is too short
		shifted := func(s span) span { return span{m.from + s.from, m.from + s.end, before[m.k-1] + s.k, modules} }
		squares, inside := partition(m.end-m.from, runs[m.k-1], func(s span) float64 { c := cost(shifted(s)); return c * c }, add)
		if math.IsInf(squares, 1) {
			return nil
		}
		for i := range inside {
			inside[i] += m.from
		}
		return inside
	}
	known := map[span]float64{}
	total := func(m span) float64 {
		sum, ok := known[m]
		if ok {
			return sum
		}
		inside, from := within(m), m.from
		if inside == nil {
			sum = math.Inf(1)
		}
		for i, end := range inside {
			sum += cost(span{from, end, before[m.k-1] + i + 1, modules})
			from = end
		}
		known[m] = sum
		return sum
	}
	largest, runEnds := partition(n, len(runs), total, math.Max)
	if math.IsInf(largest, 1) {
		return largest, nil
	}
	from := 0
	for r, end := range runEnds {
		ends = append(ends, within(span{from, end, r + 1, len(runs)})...)
		from = end
	}
	return largest, ends
}

// partition divides n blocks into K spans at the least total, which join adds up, by dynamic programming.
func partition(n, K int, cost func(span) float64, join func(a, b float64) float64) (total float64, ends []int) {
	best := make([][]float64, K+1) // of the first k spans, that end in front of block e
	from := make([][]int, K+1)
	for k := range best {
		best[k], from[k] = make([]float64, n+1), make([]int, n+1)
		for e := range best[k] {
			best[k][e] = math.Inf(1)
		}
	}
	best[0][0] = 0
	for k := 1; k <= K; k++ {
		for e := k; e <= n-(K-k); e++ {
			if (e == n) != (k == K) {
				continue
			}
			for f := k - 1; f < e; f++ {
				if math.IsInf(best[k-1][f], 1) {
					continue
				}
				if t := join(best[k-1][f], cost(span{f, e, k, K})); t < best[k][e] {
					best[k][e], from[k][e] = t, f
				}
			}
		}
	}
	ends = make([]int, K)
	for k, e := K, n; k > 0; k-- {
		ends[k-1] = e
		e = from[k][e]
	}
	return best[K][n], ends
}

// Predict returns what a step takes with the network cut in front of ends, at any batch size.
func (p *Planner) Predict(ends []int, batch int) (r Prediction, err error) {
	defer torch.Catch(&err)
	defer catchStop(&err)
	r = Prediction{Batch: batch, Cuts: p.Names(ends)}
	from := 0
	for i, end := range ends {
		m := span{from, end, i + 1, len(ends)}
		if t := p.objective(m.end, m.k, m.of); t.err != nil {
			return r, t.err
		}
		e, rest := p.step(m, batch), p.rest(m)
		row := Module{
			ActivationBytes: int64(e.peak), ParameterBytes: rest.params, OptimizerBytes: rest.optim,
			SecondsPerStep: e.seconds,
		}
		if i < len(ends)-1 {
			row.LinkBytes = p.signal(end, batch)
		}
		for _, b := range p.blocks[from:end] {
			row.Blocks = append(row.Blocks, b.Name)
		}
		r.Modules = append(r.Modules, row)
		r.ActivationBytes = max(r.ActivationBytes, row.ActivationBytes)
		r.RestingBytes += rest.params + rest.optim
		from = end
	}
	r.PeakBytes = r.RestingBytes + r.ActivationBytes
	if how := p.spec.Method; how.Resident > 0 {
		r.stream(p, &Streaming{Resident: how.Resident, Visit: how.Visit, Spilled: how.Signals == "spill"})
	}
	return r, nil
}

// signal returns the bytes of what goes over a cut with a batch: features, labels, and whatever else the method hands on.
func (p *Planner) signal(end, batch int) int64 {
	rows := float64(batch * p.views())
	features := rows * sampleBytes(p.blocks[end-1].Out, p.spec.DType)
	bytes := features + 8*float64(batch)
	if p.term {
		bytes += features
	}
	if p.parts.Rule.Needs.Image {
		bytes += rows * sampleBytes(p.parts.Net.Input, torch.Float32)
	}
	return int64(bytes)
}

// Names returns the blocks that end modules 1 … K−1.
func (p *Planner) Names(ends []int) []string {
	names := []string{}
	for _, e := range ends[:len(ends)-1] {
		names = append(names, p.blocks[e-1].Name)
	}
	return names
}

// Given returns the ends of the cuts that the spec asks for.
func (p *Planner) Given() ([]int, error) {
	if !p.Divides() {
		return []int{len(p.blocks)}, nil
	}
	return method.Cuts(p.parts.Net.Blocks, p.parts.Net.Cuts, p.spec.Method.Modules, p.spec.Method.Cuts)
}
