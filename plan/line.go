package plan

import "github.com/locus-learn/locus/torch"

// part is a thing that is measured in one kind of pass: an objective or, where that is nil, a block. With ids it is a module's
// whole share of a step: the blocks that these name, and the objective.
type part struct {
	block     int
	objective *objective
	kind      kind
	ids       string
}

// Lines are what planners have measured of a network's blocks. Planners that differ in the method alone may share them: see
// [Options].
type Lines map[part]line

// line is a cost at two batch sizes.
type line struct {
	n1, n2 int
	c1, c2 cost
}

// at returns the cost at a batch size on the line through both.
func (l line) at(n int) cost {
	f := func(a, b float64) float64 { return a + (b-a)*float64(n-l.n1)/float64(l.n2-l.n1) }
	return cost{
		kept: f(l.c1.kept, l.c2.kept), gates: f(l.c1.gates, l.c2.gates),
		forward: max(0, f(l.c1.forward, l.c2.forward)), backward: max(0, f(l.c1.backward, l.c2.backward)),
		seconds: l.c2.seconds * float64(n) / float64(l.n2), ahead: l.c2.ahead * float64(n) / float64(l.n2),
	}
}

// Samples are taken until a part keeps about so many bytes, so that weights and workspaces of a fixed size do not hide
// what grows with the batch.
const (
	measured    = 48 << 20
	fewest      = 4
	mostSamples = 32
)

// batches returns the two batch sizes for a part that keeps so many bytes a sample.
func (p *Planner) batches(sample int64) (n1, n2 int) {
	n2 = min(max(int(measured/max(1, sample)), fewest), mostSamples)
	if p.o.Most > 0 {
		n2 = min(n2, p.o.Most)
	}
	n2 = max(n2, 3) // of one sample there are no statistics
	return max(2, n2/2), n2
}

// dtype is the type that a kind of pass computes in: SGR's term takes differences, in float32 at least.
func (p *Planner) dtype(k kind) torch.DType {
	if k.gates != free || k.wide {
		return torch.Float32
	}
	return p.spec.DType
}

func (p *Planner) block(b *block, k kind) line {
	return p.line(part{block: b.id, kind: k}, b.sample, func(n int) cost { return p.measureBlock(b, n, k) })
}

func (p *Planner) objectiveLine(t *objective, k kind) line {
	k = kind{gates: k.gates, starts: k.starts, bare: k.bare}
	sample := int64(4*sampleBytes(t.in, p.dtype(k))) * int64(p.views())
	return p.line(part{objective: t, kind: k}, sample, func(n int) cost { return p.measureObjective(t, n, k) })
}

func (p *Planner) line(of part, sample int64, measure func(n int) cost) line {
	lines := p.lines
	if of.objective == nil {
		lines = p.o.Blocks
	}
	l, ok := lines[of]
	if !ok {
		l.n1, l.n2 = p.batches(sample)
		l.c1, l.c2 = measure(l.n1), measure(l.n2)
		for i := 1; i < p.o.Timings; i++ {
			if c := measure(l.n2); c.seconds < l.c2.seconds {
				l.c2.seconds, l.c2.ahead = c.seconds, c.ahead
			}
		}
		lines[of] = l
		if p.o.Measured != nil {
			if err := p.o.Measured(len(p.lines) + len(p.o.Blocks)); err != nil {
				panic(stop{err})
			}
		}
	}
	return l
}

// stop leaves a prediction that somebody has ended.
type stop struct{ error }

// catchStop recovers what [Options.Measured] returned.
func catchStop(err *error) {
	switch caught := recover().(type) {
	case nil:
	case stop:
		*err = caught.error
	default:
		panic(caught)
	}
}
