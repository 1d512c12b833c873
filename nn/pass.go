package nn

import (
	"reflect"

	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/torch"
)

// Pass is one traversal of a module: who owns the temporaries, in which mode the layers run, what they draw from, and
// what is recorded or replayed. [Evaluate], [Train] and [Repeat] make one; what they do not ask for may be set before its
// first use.
type Pass struct {
	*torch.Scope
	Mode
	Tape
	Draws *Draws // what dropout and stochastic depth draw from in training
}

// Mode is how the layers of a pass behave.
type Mode struct {
	Train   bool        // batch statistics instead of running ones
	Still   bool        // leave running statistics alone: they have seen this batch
	Compute torch.DType // of activations; weights are cast to it, statistics and losses stay in float32 or better
	Views   int         // of each sample, one behind the other: [Views·N, …]; 0 and 1 mean one. See [Pass.Run]

	Peers *torch.Peers // that have the other parts of the batch: batch statistics are those of all; nil: nobody
}

// Tape is what is kept of a pass, and how it is differentiated.
type Tape struct {
	Gates   *Gates     // nil: discrete choices are made freely and forgotten
	Work    *[]Product // where products are listed; nil: they are not
	Back    *Feedback  // what gradients flow back through in place of the weights; nil: the weights themselves
	Twice   bool       // what is recorded will be differentiated twice: nothing is left for backward to make again
	Tangent bool       // what passes through is a direction, and layers apply their derivatives: see [Pass.Along]
}

// Evaluate returns a pass in evaluation mode: running statistics, and nothing is left out by dropout. The scope owns
// temporaries, and activations are of type compute.
func Evaluate(s *torch.Scope, compute torch.DType) *Pass {
	return &Pass{Scope: s, Mode: Mode{Compute: compute}}
}

// Train returns a pass in training mode: batch statistics, which the running ones take in. Dropout and stochastic depth
// draw from draws; nil will do for networks without them.
func Train(s *torch.Scope, compute torch.DType, draws *Draws) *Pass {
	return &Pass{Scope: s, Mode: Mode{Train: true, Compute: compute}, Draws: draws}
}

// Repeat returns a pass like that of [Train] which leaves running statistics alone. It goes over a batch that they have
// seen already, or must not see.
func Repeat(s *torch.Scope, compute torch.DType, draws *Draws) *Pass {
	p := Train(s, compute, draws)
	p.Still = true
	return p
}

// Over says how many views of each sample the pass goes over, and returns it.
func (p *Pass) Over(views int) *Pass {
	p.Views = views
	return p
}

// Product is a convolution or a matrix product that a pass has done, in multiply-adds. Its gradient with respect to the
// input takes as many, and that with respect to the weight.
type Product struct {
	Weight string // name of the parameter
	MACs   int64  // over the batch
}

// list notes the product of an input and w that made y: each element of y takes as many multiply-adds as w has elements
// for one output channel.
func (p *Pass) list(w *Param, y torch.Tensor) {
	if p.Work != nil {
		*p.Work = append(*p.Work, Product{w.Name, y.Numel() * w.Value.Numel() / w.Value.Shape()[0]})
	}
}

// weigh returns W x + b. It consumes x.
func (p *Pass) weigh(l Weighing, x torch.Tensor) torch.Tensor {
	weight, bias := l.Weights()
	if p.Tangent {
		bias = nil
	}
	w, b := p.Weight(weight), p.Weight(bias)
	var y torch.Tensor
	if back := p.Back.of(p, weight); back.Defined() {
		y = l.product().Feedback(p.Scope, x, w, b, back)
		back.Free()
	} else {
		product := l.product()
		product.Remake = !p.Twice
		y = product.Apply(p.Scope, x, w, b)
	}
	p.list(weight, y)
	w.Free()
	b.Free()
	x.Free()
	return y
}

// Draws is a stream of seeds: the i-th random choice of a pass takes the i-th. Two passes from the same place of the
// same stream choose alike.
type Draws struct {
	seed, next uint64
}

// NewDraws returns the stream that belongs to a seed.
func NewDraws(seed uint64) *Draws { return &Draws{seed: seed} }

// Run applies l to x, to each of two views by itself, so that batch statistics are those of a view and running ones see
// both. It consumes x; the caller owns the result.
func (p *Pass) Run(l Layer, x torch.Tensor) torch.Tensor {
	if p.Views < 2 {
		return l.Forward(p, x)
	}
	first, second := p.Halves(x)
	x.Free()
	a := l.Forward(p, first)
	b := l.Forward(p, second)
	y := p.Cat(a, b, 0)
	a.Free()
	b.Free()
	return y
}

// Halves returns the two views that x [2N, …] consists of, aliases of it that the caller owns.
func (p *Pass) Halves(x torch.Tensor) (first, second torch.Tensor) {
	n := x.Shape()[0] / 2
	return p.Narrow(x, 0, 0, n), p.Narrow(x, 0, n, n)
}

// draw returns the seed of the next choice.
func (p *Pass) draw() uint64 {
	if p.Draws == nil {
		panic(&torch.Error{Op: "draw", Text: "a pass that trains needs Draws for dropout and stochastic depth"})
	}
	p.Draws.next++
	return seed.Derive(p.Draws.seed, "draw", p.Draws.next)
}

// Place is how far a pass has come with its choices.
type Place struct {
	gates int
	draws uint64
}

// At returns the place of the next choice, for [Pass.Seek].
func (p *Pass) At() (at Place) {
	if p.Gates != nil {
		at.gates = p.Gates.next
	}
	if p.Draws != nil {
		at.draws = p.Draws.next
	}
	return at
}

// Seek makes the pass draw, and replay if it replays, from an earlier place on.
func (p *Pass) Seek(at Place) {
	if p.Gates.Replaying() {
		p.Gates.next = at.gates
	}
	if p.Draws != nil {
		p.Draws.next = at.draws
	}
}

// Gates holds the discrete choices of one pass over a module: which ReLU units were closed, which element a maximum
// took, what dropout and stochastic depth left out. A first pass records them. Later passes replay them in the same order,
// so that the network is differentiated with its activation pattern fixed, as a double backward does (σ″ = 0).
//
// A replay also leaves running statistics alone. Gates own their masks, which only the layer that recorded them
// understands: one bit an element behind a normalisation, one byte elsewhere.
type Gates struct {
	Points bool // record also where layers were that are not linear between their gates, for [Pass.Along]

	closed []torch.Tensor
	next   int
	replay bool
}

// Replaying reports whether choices are repeated rather than made.
func (g *Gates) Replaying() bool { return g != nil && g.replay }

// Replay makes the next pass repeat the recorded choices from the first one on.
func (g *Gates) Replay() { g.replay, g.next = true, 0 }

// Free releases the masks.
func (g *Gates) Free() {
	if g == nil {
		return
	}
	for _, m := range g.closed {
		m.Free()
	}
	g.closed = nil
}

func (g *Gates) add(mask torch.Tensor) { g.closed = append(g.closed, mask.Keep()) }

func (g *Gates) take() torch.Tensor {
	if g.next == len(g.closed) {
		panic(&torch.Error{Op: "replay", Text: "the module meets more gates than the recorded pass did"})
	}
	g.next++
	return g.closed[g.next-1]
}

// Along returns the pass that takes a direction at the input of a pass to what becomes of it at the output, to first
// order: every layer applies its derivative at the point where it was in p. p must have recorded its gates, with Points,
// and its graph must still be there; what comes out is recorded on it and can be differentiated once.
func (p *Pass) Along() *Pass {
	q := *p
	q.Tangent = true
	q.Gates.Replay()
	return &q
}

// Tangents tells whether layers have derivatives for [Pass.Along]. One that only hands its input from part to part answers by
// its parts, as [Sequential] does. One with arithmetic of its own has none unless its method Tangents() bool says so: what
// its parts can do says nothing about what stands between them. Nor does an embedded layer's method speak for the layer
// around it: whoever wants to say so holds that layer in a named field.
func Tangents(layers ...Layer) bool {
	for _, l := range layers {
		t, ok := l.(tangents)
		if !ok || embeds(reflect.TypeOf(l), reflect.TypeFor[tangents]()) || !t.Tangents() {
			return false
		}
	}
	return true
}

type tangents interface{ Tangents() bool }

// embeds tells whether a struct, or what t points at, has an embedded field with the methods of want.
func embeds(t, want reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for i := 0; t.Kind() == reflect.Struct && i < t.NumField(); i++ {
		f := t.Field(i)
		if f.Anonymous && (f.Type.Implements(want) || reflect.PointerTo(f.Type).Implements(want)) {
			return true
		}
	}
	return false
}

// Point records x, which stays the caller's, if the pass records points.
func (p *Pass) Point(x torch.Tensor) {
	if p.Gates != nil && p.Gates.Points && !p.Gates.replay {
		p.Gates.add(p.Alias(x))
	}
}

// Recorded returns the next of the recorded points in a pass along a direction. It belongs to the gates.
func (p *Pass) Recorded() torch.Tensor { return p.Gates.take() }

// relu overwrites x, which nobody else may need, by max(x, 0), or by what the recorded gates let through.
func (p *Pass) relu(x torch.Tensor) torch.Tensor {
	if p.Gates.Replaying() {
		p.ZeroWhere(x, p.Gates.take())
		return x
	}
	p.ReLUInPlace(x)
	if p.Gates != nil {
		p.Gates.add(p.IsZero(x))
	}
	return x
}

// choice returns a choice among those that gates record: the one to be replayed, or the one that draw makes. done says
// that the pass needs it no more.
func (p *Pass) choice(draw func() torch.Tensor) (mask torch.Tensor, done func()) {
	if p.Gates.Replaying() {
		return p.Gates.take(), func() {}
	}
	mask = draw()
	if p.Gates != nil {
		p.Gates.add(mask)
		return mask, func() {}
	}
	return mask, mask.Free
}

// Weight returns w in the type that the pass computes in, and no tensor for no parameter.
func (p *Pass) Weight(w *Param) torch.Tensor {
	if w == nil {
		return torch.Tensor{}
	}
	return p.Cast(w.Value, p.Compute)
}
