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
	if modules < 1 || modules > len(p.blocks) {
		return nil, fault.New("method.modules is %d: must be between 1 and the number of blocks, %d", modules, len(p.blocks))
	}
	if p.batch != batch {
		p.batch, p.steps = batch, map[stepKey]estimate{}
	}
	var refusal error
	cost := func(m span) float64 {
		t := p.objective(m.end, m.k, m.of)
		if t.err != nil {
			refusal = t.err
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
	}, func(a, b float64) float64 { return a + b })
	return ends, nil
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
