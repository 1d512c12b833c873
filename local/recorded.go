package local

import (
	"fmt"
	"slices"
	"strings"

	"github.com/locus-learn/locus/torch"
)

// Repeats is implemented by a [Term] whose operations are the same in all steps of a kind.
type Repeats interface {
	// Kind names what the host decides about module m at a step, or reports that no other step is like this one.
	Kind(r *Rule, m *Module, dtype torch.DType, at Tick) (kind string, repeats bool)
}

// Recorded drives the modules of a [Chain] as that does, on a device that records: see [torch.Device.Record]. Of steps of one
// kind it takes a few by the chain. Then it records how the gradients of all modules are found, and from there on launches that as
// a whole. Updates follow, module after module, by the optimizers as they are. A chain asks the processor for every single
// operation; small networks leave most of a card idle meanwhile.
//
// What it learns is the same, bit by bit. The price is memory: gradients of all modules are there at the same time, for each kind
// of steps, and what a recorded step works in stays reserved between steps.
//
// Some steps are taken by the chain: those on the CPU, of batches smaller than others, of modules that are shared, rest or
// come and go, of a rule that reforwards or whose term does not say how it [Repeats], and those that cannot be recorded, since
// they draw random numbers, for instance. See [Recorded.Refused].
type Recorded struct {
	*Chain
	samples  int64 // of the largest batch
	kinds    map[string]*recording
	launched int
	refused  error
}

// recording is what is known of steps of one kind.
type recording struct {
	seen    int // steps that the chain has taken
	last    int // number of the launch, among all kinds'
	refused bool
	graph   *torch.Graph // nil until there is one
	x, y    torch.Tensor // what it reads
	theta   [][]torch.Tensor
	found   []*found       // of its modules, as they are without a step
	numbers torch.Tensor   // that these take, in their order
	values  []torch.Tensor // of the modules' parameters, which it reads where they were
}

// mostGraphs bounds how many kinds of steps are recorded at a time: each has gradients of all modules. The one that was launched
// least recently makes room.
const mostGraphs = 4

// eager is how many steps of a kind the chain takes first: what libraries make when they are first used must be there.
const eager = 3

// NewRecorded returns what drives the modules of a chain, which it takes over.
func NewRecorded(c *Chain) *Recorded { return &Recorded{Chain: c, kinds: map[string]*recording{}} }

// Refused returns why steps that were to be recorded were not; nil if none was refused.
func (r *Recorded) Refused() error { return r.refused }

// Launched returns how many steps were taken from a recording.
func (r *Recorded) Launched() int { return r.launched }

// Step implements [Learner].
func (r *Recorded) Step(x, y torch.Tensor, at Tick) ([]Outcome, error) {
	kind, repeats := r.kind(x, y, at)
	if !repeats {
		return r.Chain.Step(x, y, at)
	}
	k := r.kinds[kind]
	if k != nil && k.graph != nil && !slices.Equal(k.values, r.values()) {
		k.free()
		k = nil
	}
	if k == nil {
		k = &recording{}
		r.kinds[kind] = k
	}
	if k.graph == nil && !k.refused && k.seen >= eager {
		if err := k.record(r.Chain, x, y, at, r.room()); err != nil {
			k.refused, r.refused = true, err
		}
	}
	if k.graph == nil {
		k.seen++
		return r.Chain.Step(x, y, at)
	}
	r.launched++
	k.last = r.launched
	return k.launch(r.Chain, x, y, at)
}

// room frees the recording that was launched least recently where there are too many, and returns the graph of another one, in
// whose memory the next can work: numbers and gradients of a step are read before another is launched.
func (r *Recorded) room() *torch.Graph {
	var all []*recording
	for _, k := range r.kinds {
		if k.graph != nil {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b *recording) int { return a.last - b.last })
	if len(all) == mostGraphs {
		all[0].free()
		all = all[1:]
	}
	if len(all) == 0 {
		return nil
	}
	return all[0].graph
}

// kind names all that decides which operations a step consists of, or reports that the chain is to take it.
func (r *Recorded) kind(x, y torch.Tensor, at Tick) (kind string, repeats bool) {
	c := r.Chain
	term, ok := c.Rule.Term.(Repeats)
	if x.Device() == torch.CPU || c.Residents != nil || c.Rule.Reforward || !ok {
		return "", false
	}
	r.samples = max(r.samples, x.Shape()[0])
	if x.Shape()[0] < r.samples {
		return "", false
	}
	var name strings.Builder
	fmt.Fprint(&name, x.Shape(), x.DType(), y.Shape(), y.DType(), c.Rule.Term.Reads(at.Step))
	for i, m := range c.modules {
		if m.ranks != nil || m.away || m.Optim == nil || c.Worker(i).phase(at) != Trains {
			return "", false
		}
		of, repeats := term.Kind(&c.Rule, m, c.DType, at)
		if !repeats {
			return "", false
		}
		fmt.Fprint(&name, " ", of)
	}
	return name.String(), true
}

// values are the modules' parameters and running statistics, where they are now.
func (c *Chain) values() (all []torch.Tensor) {
	for _, m := range c.modules {
		for _, p := range m.Params {
			all = append(all, p.Value)
		}
	}
	return all
}

// record records a step on a batch, which it does not consume. After an error nothing is recorded.
func (k *recording) record(c *Chain, x, y torch.Tensor, at Tick, beside *torch.Graph) (err error) {
	defer func() {
		if err != nil {
			k.free()
		}
	}()
	defer torch.Catch(&err)
	s := x.Device().Scope(torch.NoGrad)
	defer s.Close()
	k.values = c.values()
	k.x = s.Clone(x).Keep()
	k.y = s.Clone(y).Keep()
	k.graph, err = x.Device().RecordBeside(beside, func() { k.find(c, at) })
	return err
}

// find runs the modules on the recording's own batch and keeps what they find.
func (k *recording) find(c *Chain, at Tick) {
	enter := k.x.Device().Scope(torch.NoGrad)
	signal, err := c.Enter(enter.Alias(k.x).Keep(), enter.Alias(k.y).Keep(), at.Step)
	enter.Close()
	if err != nil {
		panic(err)
	}
	defer func() { signal.Free() }()
	s := k.x.Device().Scope(torch.NoGrad)
	defer s.Close()
	var numbers []torch.Tensor
	for _, m := range c.modules {
		var f *found
		signal, f = k.visit(c, m, signal, at)
		f.from = len(numbers)
		for _, n := range f.numbers {
			if _, known := n.Value(); !known {
				numbers = append(numbers, s.Adopt(n.Tensor()))
			}
		}
		k.found = append(k.found, f)
	}
	k.numbers = s.Stack(numbers).Keep()
}

// visit finds a module's gradients, which it keeps, on a signal, which it consumes.
func (k *recording) visit(c *Chain, m *Module, in Signal, at Tick) (out Signal, f *found) {
	s := k.x.Device().Scope(torch.Mode(!c.Rule.Closed))
	defer s.Close()
	adopt(s, in)
	w := c.Rule.work(m, in, s, c.DType, at)
	g, agreement := w.gradients(Trains)
	f = w.found(g, agreement)
	f.departed = true
	for _, n := range f.numbers {
		n.Keep()
	}
	for _, t := range present(g.Theta) {
		t.Keep()
	}
	k.theta = append(k.theta, g.Theta)
	if m.Last {
		return Signal{}, f
	}
	return w.next(g), f
}

// launch takes a step on a batch, which it consumes.
func (k *recording) launch(c *Chain, x, y torch.Tensor, at Tick) (left []Outcome, err error) {
	defer torch.Catch(&err)
	k.x.Copy(x)
	k.y.Copy(y)
	x.Free()
	y.Free()
	k.graph.Launch()
	reading := k.numbers.Read()
	now := Outcome{at, make([]Stats, len(c.modules))}
	for i, m := range c.modules {
		f := k.found[i].at(at.Step, reading)
		now.Stats[i], m.late = untrained, f
		now.Stats[i].late = f
		m.Optim.Step(slices.Clone(k.theta[i]), at.LR)
	}
	return c.told(now, true)
}

// at is the same at a step, whose numbers come with a reading.
func (f *found) at(step int, reading *torch.Reading) *found {
	return &found{
		module: f.module, step: step, lossless: f.lossless, numbers: f.numbers, departed: true, from: f.from,
		reading: reading, values: f.values,
	}
}

func (k *recording) free() {
	if k.graph != nil {
		k.graph.Free()
	}
	for _, theta := range k.theta {
		free(present(theta))
	}
	for _, t := range []torch.Tensor{k.x, k.y, k.numbers} {
		t.Free()
	}
	*k = recording{}
}

// Close implements [Learner].
func (r *Recorded) Close() {
	for _, k := range r.kinds {
		k.free()
	}
	clear(r.kinds)
	r.Chain.Close()
}
