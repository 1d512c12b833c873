package plan

import "github.com/locus-learn/locus/torch"

// span is a module: blocks from … end−1, the k-th of so many.
type span struct{ from, end, k, of int }

// passed is what a pass over a module takes: its peak above what was alive before, the module's input included in that,
// and what it leaves.
type passed struct {
	peak, seconds float64
	features      float64 // x_k
	gates         float64
}

// pass lays the costs of a module's blocks and its tail one after the other as forward and backward run them.
func (p *Planner) pass(m span, n int, g gates, wantIn, wantOut bool) (r passed) {
	size := func(b *block) float64 { return float64(n) * sampleBytes(b.Out, p.dtype(kind{gates: g})) }
	blocks := p.blocks[m.from:m.end]
	costs := make([]cost, len(blocks))
	last := len(blocks) - 1
	var live float64
	rise := func(by float64) { r.peak = max(r.peak, live+by) }
	for i, b := range blocks {
		c := p.block(b, kind{gates: g, starts: i == 0, wantIn: wantIn && i == 0, ends: wantOut && i == last}).at(n)
		costs[i] = c
		rise(c.forward)
		live += c.own + size(b)
		if i > 0 && !b.keepsIn && !blocks[i-1].keepsOut {
			live -= size(blocks[i-1])
		}
		r.seconds += c.seconds
		r.gates += c.gates
	}
	r.features = size(blocks[last])
	t := p.tail(m.end, m.k, m.of)
	c := p.objective(t, kind{gates: g}).at(n)
	r.seconds += c.seconds
	r.gates += c.gates
	rise(c.forward)
	live += c.own
	rise(c.backward)
	live += c.gates - c.own + float64(t.rest.grads)
	for i := last; i >= 0; i-- {
		b := blocks[i]
		if i < last && !b.keepsOut && blocks[i+1].keepsIn { // its user has let go of it
			live -= size(b)
		}
		rise(costs[i].backward)
		live += costs[i].gates - costs[i].own + float64(b.rest.grads)
		if i < last && b.keepsOut {
			live -= size(b)
		}
		if i == last && wantOut {
			live += size(b) // its gradient
		}
	}
	return r
}

// estimate of a module's share of a step.
type estimate struct{ peak, seconds float64 }

// step follows what is alive through a module's share of a step in lock-step: [local.Rule.Train].
func (p *Planner) step(m span, n int) estimate {
	images := float64(n) * sampleBytes(p.net.Input, torch.Float32)
	signal := 8 * float64(n) // labels
	if p.rule.Needs.Image {
		signal += images
	}
	shape := p.blocks[m.from].in
	x := float64(n) * sampleBytes(shape, p.spec.DType)
	wantOut := p.term && m.end < len(p.blocks)
	if !p.term || m.from == 0 {
		r := p.pass(m, n, free, false, wantOut)
		return estimate{signal + x + r.peak, r.seconds}
	}
	// The signal's features, widened, and the gradient that came with them are held through the first pass.
	wide := float64(n) * sampleBytes(shape, torch.Float32)
	first := p.pass(m, n, record, true, wantOut)
	peak := signal + wide + x + first.peak
	grads := float64(p.rest(m).grads)
	left := first.features + first.gates + grads
	if wantOut {
		left += first.features
	}
	peak = max(peak, signal+left+4*wide) // x, δ, r and x + εv
	second := p.pass(m, n, replay, false, false)
	peak = max(peak, signal+left+wide+second.peak)
	return estimate{peak, first.seconds + second.seconds}
}

// rest is what a module keeps between steps.
func (p *Planner) rest(m span) (r resting) {
	for _, b := range p.blocks[m.from:m.end] {
		r = r.plus(b.rest)
	}
	return r.plus(p.tail(m.end, m.k, m.of).rest)
}
