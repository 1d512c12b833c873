package plan

import (
	"fmt"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// span is a module: blocks from … end−1, the k-th of so many.
type span struct{ from, end, k, of int }

// passed is what a pass over a module takes: its peak above what was alive before, the module's input included in that,
// and what it leaves.
type passed struct {
	peak, seconds float64
	features      float64 // x_k
	gates         float64
}

// wanted says what a pass over a module is for, besides the gradients of its parameters.
type wanted struct {
	gates gates
	in    bool // the gradient of its input
	out   bool // and of its output
	bare  bool // and none of its parameters
}

// grads are the bytes of gradients of parameters that a pass makes.
func (w wanted) grads(r resting) float64 {
	if w.bare {
		return 0
	}
	return float64(r.grads)
}

// pass is what a pass over a module takes, with checkpoints inside it or without.
func (p *Planner) pass(m span, n int, want wanted) passed {
	if p.checkpoints != nil {
		return p.checkpointed(m, n, want)
	}
	return p.plain(m, n, want)
}

// plain lays the costs of a module's blocks and its objective one after the other as forward and backward run them, for n
// samples. Of two views each goes through the blocks by itself, backward the second one first: [nn.Pass.Run].
func (p *Planner) plain(m span, n int, want wanted) (r passed) {
	views, g := p.views(), want.gates
	size := func(b *block) float64 { return float64(n) * sampleBytes(b.Out, p.dtype(kind{gates: g})) }
	blocks := p.blocks[m.from:m.end]
	costs := make([]cost, len(blocks))
	last, still := len(blocks)-1, p.still(m, want.in)
	whole := float64(views) * size(blocks[last]) // x_k
	keepsOut := func(i int) bool { return i >= still && blocks[i].keepsOut }
	// The first block that learns keeps what no normalisation in front of it keeps for it.
	keepsIn := func(i int) bool { return i >= still && (blocks[i].keepsIn || i == still && i > 0 && blocks[i].behind) }
	var live float64
	rise := func(by float64) { r.peak = max(r.peak, live+by) }
	for range views {
		for i, b := range blocks {
			k := kind{gates: g, starts: i <= still, wantIn: want.in && i == 0, ends: want.out && i == last && views == 1, bare: want.bare}
			if i < still {
				k = kind{gates: g, starts: i == 0, quiet: true}
			}
			c := p.block(b, k).at(n)
			costs[i] = c
			rise(c.forward)
			live += c.kept + size(b)
			if i > 0 && !keepsIn(i) && !keepsOut(i-1) {
				live -= size(blocks[i-1])
			}
			r.seconds += c.seconds
			r.gates += c.gates
		}
	}
	if views > 1 { // they are put together
		live += whole
		rise(0)
		if !keepsOut(last) {
			live -= whole
		}
	}
	r.features = whole
	t := p.objective(m.end, m.k, m.of)
	c := p.objectiveLine(t, kind{gates: g, starts: still == len(blocks), bare: want.bare}).at(n)
	r.seconds += c.seconds
	r.gates += c.gates
	rise(c.forward)
	live += c.kept
	rise(c.backward)
	live += c.gates - c.kept + want.grads(t.rest)
	for v := range views {
		final := v == views-1
		for i := last; i >= 0; i-- {
			b := blocks[i]
			if i < last && !keepsOut(i) && keepsIn(i+1) { // its user has let go of it
				live -= size(b)
			}
			rest := 0.0 // of the gradient of x_k, which views share
			switch {
			case i == last:
				rest = whole - size(b)
			case !final:
				rest = whole
			}
			if i < still {
				continue
			}
			rise(rest + costs[i].backward)
			live += costs[i].gates - costs[i].kept
			if v == 0 { // the other view's are added to them
				live += want.grads(b.rest)
			}
			if keepsOut(i) && (i < last || views > 1) {
				live -= size(b)
			}
			if i == last && want.out && final {
				live += whole // its gradient
			}
		}
		if want.in && views > 1 { // a view's gradient of the input is filled up to both
			in := float64(n) * sampleBytes(blocks[0].in, p.dtype(kind{gates: g}))
			live += float64(views) * in
			rise(in)
		}
	}
	return r
}

// still counts the blocks at a module's beginning in which nothing learns, and to which no gradient is due.
func (p *Planner) still(m span, wantIn bool) (n int) {
	if wantIn {
		return 0
	}
	for _, b := range p.blocks[m.from:m.end] {
		if b.rest.grads > 0 {
			break
		}
		n++
	}
	return n
}

// behindResting reports whether nothing learns in front of a module, so that no gradient comes with its signal.
func (p *Planner) behindResting(m span) bool {
	return m.from > 0 && p.still(span{from: 0, end: m.from}, false) == m.from
}

// estimate of a module's share of a step.
type estimate struct{ peak, seconds float64 }

// step follows what is alive through a module's share of a step in lock-step: [local.Rule.Train].
func (p *Planner) step(m span, n int) estimate {
	rows := float64(n * p.views())
	images := rows * sampleBytes(p.parts.Net.Input, torch.Float32)
	signal := 8 * float64(n) // labels
	if p.parts.Rule.Needs.Image {
		signal += images
	}
	shape := p.blocks[m.from].in
	x := rows * sampleBytes(shape, p.spec.DType)
	rests := p.module(m).Rests()
	wantOut := p.term && m.end < len(p.blocks) && !rests
	if !p.term || rests || m.from == 0 || p.behindResting(m) {
		r := p.pass(m, n, wanted{out: wantOut})
		return estimate{signal + x + r.peak, r.seconds}
	}
	t := p.parts.Rule.Term.(*local.Reconcile)
	if t.Follows(&p.parts.Rule, p.module(m), p.spec.DType) {
		c := p.share(m).at(n)
		return estimate{c.forward, c.seconds}
	}
	// The signal's features, widened, and the gradient that came with them are held through the first pass.
	wide := rows * sampleBytes(shape, torch.Float32)
	want := wanted{gates: record, in: true, out: wantOut, bare: t.Shifts(p.spec.Device)}
	first := p.pass(m, n, want)
	peak := signal + wide + x + first.peak
	left := first.features + first.gates + want.grads(p.rest(m))
	if wantOut {
		left += first.features
	}
	peak = max(peak, signal+left+4*wide) // x, δ, r and x + εv
	second := p.pass(m, n, wanted{gates: replay})
	peak = max(peak, signal+left+wide+second.peak)
	return estimate{peak, first.seconds + second.seconds}
}

// module returns the module itself, which borrows the network's layers and has no optimizer.
func (p *Planner) module(m span) *local.Module {
	t := p.objective(m.end, m.k, m.of)
	var blocks []nn.Block
	for _, b := range p.blocks[m.from:m.end] {
		blocks = append(blocks, b.Block)
	}
	whole := local.NewModule(m.k, t.module.Last, blocks, t.module.Head, t.module.Aux, nil)
	whole.Of = m.of
	return whole
}

// share returns what a module's share of a step takes, its signal included, as one part: a direction that follows a pass
// ties the blocks to each other in a way that does not come apart at their borders.
func (p *Planner) share(m span) line {
	of, sample := part{objective: p.objective(m.end, m.k, m.of)}, int64(0)
	for _, b := range p.blocks[m.from:m.end] {
		of.ids += fmt.Sprint(b.id, " ")
		sample += 2 * b.sample
	}
	return p.line(of, sample, func(n int) cost { return p.measureShare(m, n) })
}

// measureShare trains a module for a step, at a rate of 0, on n random samples.
func (p *Planner) measureShare(m span, n int) cost {
	module := p.module(m)
	defer bring(module.Params)()
	module.Refresh(func(params []*nn.Param) optim.Optimizer { return optim.New(p.spec.Optim, params) })
	defer module.Optim.Free()
	before := p.meter()
	s := torch.NewScopeOn(p.spec.Device, torch.NoGrad)
	defer s.Close()
	dtype, shape := p.spec.DType, p.blocks[m.from].in
	signal := local.Signal{
		X: random(s, dtype, n, shape, false).Keep(), Y: p.parts.Rule.Blank(s, n, p.parts.Net.Classes).Keep(), Delta: random(s, dtype, n, shape, false).Keep(),
	}
	began := p.clock()
	next, _, err := p.parts.Rule.Train(module, signal, dtype, local.Tick{})
	if err != nil {
		panic(err)
	}
	c := cost{forward: before.peak(), seconds: p.clock() - began}
	next.Free()
	return c
}

// rest is what a module keeps between steps.
func (p *Planner) rest(m span) (r resting) {
	for _, b := range p.blocks[m.from:m.end] {
		r = r.plus(b.rest)
	}
	return r.plus(p.objective(m.end, m.k, m.of).rest)
}
