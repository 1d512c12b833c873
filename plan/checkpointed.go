package plan

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// checkpointed is [Planner.plain] over a module of which the inputs of segments are kept, and all segments but the last are
// run again: [local.Checkpointed].
func (p *Planner) checkpointed(m span, n int, want wanted) (r passed) {
	g := want.gates
	starts := []int{m.from}
	for _, length := range p.checkpoints.Lengths(m.end - m.from) {
		starts = append(starts, starts[len(starts)-1]+length)
	}
	last := len(starts) - 2
	if last == 0 {
		return p.plain(m, n, want)
	}
	var live float64
	rise := func(by float64) { r.peak = max(r.peak, live+by) }
	for s := range last {
		for i := starts[s]; i < starts[s+1]; i++ {
			c := p.block(p.blocks[i], kind{gates: g, quiet: true, starts: i == starts[s]}).at(n)
			rise(c.forward)
			live += p.size(i, n, g) + c.gates
			if i > starts[s] {
				live -= p.size(i-1, n, g)
			}
			r.seconds += c.seconds
			r.gates += c.gates
		}
	}
	ends, tail := span{starts[last], m.end, m.k, m.of}, want
	tail.in = true
	end := p.plain(ends, n, tail)
	rise(end.peak)
	r.seconds += end.seconds
	r.gates += end.gates
	r.features = end.features
	live += end.gates + end.features + want.grads(p.rest(ends))
	if want.out {
		live += end.features
	}
	for s := last - 1; s >= 0; s-- {
		segment := want
		segment.in = s > 0 || want.in
		again := p.rerun(starts[s], starts[s+1], n, segment)
		live -= p.size(starts[s+1]-1, n, g) // the next one's input
		rise(again.peak)
		r.seconds += again.seconds
		for _, b := range p.blocks[starts[s]:starts[s+1]] {
			live += want.grads(b.rest)
		}
	}
	return r
}

// size is what the output of a block takes in a pass of so many samples.
func (p *Planner) size(block, n int, g gates) float64 {
	return float64(n) * sampleBytes(p.blocks[block].Out, p.dtype(kind{gates: g}))
}

// rerun lays the second forward pass of a segment and its backward pass one after the other. The gradient of its output
// stands beside both, and the output beside the latter.
func (p *Planner) rerun(from, end, n int, want wanted) (r passed) {
	g := want.gates
	k := kind{gates: g}
	if g == record { // that was done the first time
		k = kind{wide: p.spec.DType != torch.Float32}
	}
	k.bare = want.bare
	blocks := p.blocks[from:end]
	last := len(blocks) - 1
	costs := make([]cost, len(blocks))
	live := p.size(end-1, n, g) // the gradient of the output
	rise := func(by float64) { r.peak = max(r.peak, live+by) }
	for i, b := range blocks {
		k.starts, k.wantIn, k.again = i == 0, want.in && i == 0, i == last
		costs[i] = p.block(b, k).at(n)
		rise(costs[i].forward)
		live += costs[i].kept + p.size(from+i, n, g)
		if i > 0 && !b.keepsIn && !blocks[i-1].keepsOut {
			live -= p.size(from+i-1, n, g)
		}
		r.seconds += costs[i].seconds
	}
	for i := last; i >= 0; i-- {
		b := blocks[i]
		if i < last && !b.keepsOut && blocks[i+1].keepsIn {
			live -= p.size(from+i, n, g)
		}
		rise(costs[i].backward)
		live += want.grads(b.rest) - costs[i].kept
		if b.keepsOut && i < last {
			live -= p.size(from+i, n, g)
		}
	}
	return r
}

// measureQuiet measures a block's forward pass on n samples, of which nothing is recorded but gates.
func (p *Planner) measureQuiet(b *block, n int, k kind) cost {
	s := torch.NewScopeOn(p.spec.Device, torch.NoGrad)
	defer s.Close()
	dtype := p.dtype(k)
	in := func(s *torch.Scope) torch.Tensor { return random(s, dtype, n, b.in, b.first) }
	pass := newPass(s, dtype, k, 1, func(q *nn.Pass) { b.Layer.Forward(q, in(q.Scope)).Free() })
	defer pass.Gates.Free()
	x := in(s)
	if k.starts {
		x = s.Alias(x) // the input stays
	}
	began, before := p.clock(), p.meter()
	b.Layer.Forward(pass, x)
	out := cost{forward: before.peak(), seconds: p.clock() - began}
	out.gates = p.gatesOf(pass, k)
	return out
}
