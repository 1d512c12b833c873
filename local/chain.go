package local

import (
	"errors"
	"fmt"
	"time"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Phase is what a module does in a stretch of the training.
type Phase int

const (
	Trains Phase = iota // forward, backward, update
	Frozen              // forward only, in evaluation mode
	Idle                // nothing, and nothing behind it either
)

// Schedule says which modules train when. Workers of a [Pipeline] share it.
type Schedule interface {
	// Phase of module k of K at a time given as the fraction of the training that is done, in [0, 1).
	Phase(k, K int, done float64) Phase
	// Cycles tells how often the training of K modules runs through the schedule of the learning rate, one after the other.
	Cycles(K int) int
}

// Together trains all modules on every batch.
type Together struct{}

// Phase implements [Schedule].
func (Together) Phase(int, int, float64) Phase { return Trains }

// Cycles implements [Schedule].
func (Together) Cycles(int) int { return 1 }

// Tick is the place of a step in the training.
type Tick struct {
	Step int     // from 0
	Done float64 // fraction of the training that lies behind, in [0, 1)
	LR   float64
}

// Outcome is what the modules measured on one batch.
type Outcome struct {
	Tick
	Stats []Stats // one a module; losses and agreements are NaN for one that did not train
}

// Learner trains a whole network, batch after batch.
type Learner interface {
	// Step trains on images, in two views where the rule asks for them (see [Signal]), and labels, which it consumes, and returns the batches that have left the network since the
	// last call: in lock-step this one, in a pipeline an earlier one or none. A *Diverged error leaves the module that it
	// names and those behind it as they were at their last finite loss.
	Step(x, y torch.Tensor, at Tick) ([]Outcome, error)
	// Drain waits until the network is empty and returns the batches that have left it.
	Drain() ([]Outcome, error)
	// Evaluate counts correct answers of every module's head. It consumes x and y. The network must be empty.
	Evaluate(x, y torch.Tensor) ([]Score, error)
	// Modules are the parts of the network in order.
	Modules() []*Module
	// Close ends the learner's goroutines, if it has any, and waits for them. It may be called again.
	Close()
}

// Score counts right answers of one head among N; N is 0 for a head that gives none.
type Score struct {
	Top1, Top5, N int
	Loss          float64   // sum of the answers' cross-entropies
	Sums          []float64 // of [Rule.Measured], in that order; nil for a head that gives no answers
}

// Chain drives modules in lock-step in the calling goroutine: each forwards, backwards, steps and frees before the
// next one starts.
type Chain struct {
	Rule     Rule
	Schedule Schedule
	DType    torch.DType // of the activations
	Pixels   Pixels      // what the input was before it was normalised
	modules  []*Module
}

// Pixels says how images in [0, 1] became the network's input, (image − Mean)/Std with one value a channel; empty where
// they are the input themselves.
type Pixels struct{ Mean, Std []float64 }

// restore returns the images as they were, in float32 or better.
func (n Pixels) restore(s *torch.Scope, x torch.Tensor) torch.Tensor {
	dtype := torch.Float32
	if x.DType() == torch.Float64 {
		dtype = torch.Float64
	}
	x = s.Cast(x, dtype)
	if len(n.Mean) == 0 {
		return x
	}
	c := int64(len(n.Mean))
	channel := func(v []float64) torch.Tensor { return s.Cast(s.FromDoubles(v, 1, c, 1, 1), dtype) }
	return s.Add(s.Mul(x, channel(n.Std)), channel(n.Mean), 1)
}

// NewChain returns a chain over modules, which it does not own.
func NewChain(modules []*Module, rule Rule, schedule Schedule, dtype torch.DType) *Chain {
	for _, m := range modules {
		m.Of = len(modules)
	}
	return &Chain{Rule: rule, Schedule: schedule, DType: dtype, modules: modules}
}

// Modules implements [Learner].
func (c *Chain) Modules() []*Module { return c.modules }

// Step implements [Learner].
func (c *Chain) Step(x, y torch.Tensor, at Tick) ([]Outcome, error) {
	signal, err := c.Enter(x, y, at.Step)
	if err != nil {
		return nil, err
	}
	stats := make([]Stats, len(c.modules))
	for i := range c.modules {
		if signal, stats[i], err = c.advance(i, signal, at); err != nil {
			return nil, err
		}
	}
	signal.Free()
	return []Outcome{{at, stats}}, nil
}

// Enter makes the signal in front of the first module at a step, for those who drive modules one by one with
// [Rule.Train]. It consumes x and y.
func (c *Chain) Enter(x, y torch.Tensor, step int) (in Signal, err error) {
	defer catch(&err)
	s := torch.NewScopeOn(x.Device(), torch.NoGrad)
	defer s.Close()
	in = Signal{X: x, Y: y}
	adopt(s, &in)
	if rows, n := x.Shape()[0], in.samples(); c.Rule.Views > 1 && rows != 2*n {
		panic(&torch.Error{Op: "views", Text: fmt.Sprintf("%d images for %d labels: the method learns from two views of each", rows, n)})
	}
	if c.Rule.Needs.Image {
		in.Image = c.Pixels.restore(s, x)
	}
	if c.Rule.Needs.Error {
		in.Error = c.error(s, in, step)
	}
	for _, t := range in.tensors() {
		t.Keep()
	}
	return in, nil
}

// error returns softmax(logits) − onehot(y) of the whole network, by a pass that leaves no trace in it and draws what the
// modules will draw when they train.
func (c *Chain) error(s *torch.Scope, in Signal, step int) torch.Tensor {
	p := &nn.Pass{Scope: s, Train: true, Still: true, Compute: c.DType}
	x := s.Cast(in.X, c.DType)
	for _, m := range c.modules {
		p.Draws = c.Rule.draws(m, step)
		x = m.Body.Forward(p, x)
	}
	logits := float(p, c.modules[len(c.modules)-1].Head.Forward(p, x))
	classes := int(logits.Shape()[1])
	return s.Add(s.Softmax(logits), s.OneHot(in.Y, classes), -1)
}

// Drain implements [Learner]: between steps the network is empty.
func (c *Chain) Drain() ([]Outcome, error) { return nil, nil }

// Close implements [Learner].
func (c *Chain) Close() {}

// advance lets the i-th module do its part of a step. It consumes in, which is empty behind an idle module.
func (c *Chain) advance(i int, in Signal, at Tick) (out Signal, stats Stats, err error) {
	defer catch(&err)
	if !in.X.Defined() {
		return Signal{}, untrained, nil
	}
	began, m := time.Now(), c.modules[i]
	switch c.Schedule.Phase(m.Index, len(c.modules), at.Done) {
	case Trains:
		out, stats = c.Rule.Train(m, in, c.DType, at)
	case Frozen:
		out, stats = c.pass(m, in), untrained
	case Idle:
		in.Free()
		stats = untrained
	}
	stats.Busy = time.Since(began)
	return out, stats, nil
}

// pass hands a signal through a frozen module.
func (c *Chain) pass(m *Module, in Signal) Signal {
	s := torch.NewScopeOn(in.X.Device(), torch.NoGrad)
	defer s.Close()
	adopt(s, &in)
	p := &nn.Pass{Scope: s, Compute: c.DType}
	out := in
	out.X, out.Delta, out.Mod = m.Body.Forward(p, in.X), torch.Tensor{}, torch.Tensor{}
	for _, t := range out.tensors() {
		t.Keep()
	}
	return out
}

// Evaluate implements [Learner].
func (c *Chain) Evaluate(x, y torch.Tensor) (scores []Score, err error) {
	defer catch(&err)
	s := torch.NewScopeOn(x.Device(), torch.NoGrad)
	defer s.Close()
	in := Signal{X: x, Y: y}
	adopt(s, &in)
	p := &nn.Pass{Scope: s, Compute: c.DType}
	n := int(y.Shape()[0])
	for _, m := range c.modules {
		x = m.Body.Forward(p, x)
		if m.Embeds {
			scores = append(scores, Score{})
			continue
		}
		logits := m.Head.Forward(p, s.Alias(x))
		k := min(5, int(logits.Shape()[1]))
		score := Score{Top1: torch.TopK(logits, y, 1), Top5: torch.TopK(logits, y, k), N: n}
		logits = float(p, logits)
		loss := s.CrossEntropy(logits, y, 0)
		score.Loss = float64(n) * loss.Item()
		loss.Free()
		for _, metric := range c.Rule.Measured() {
			score.Sums = append(score.Sums, metric.Sum(s, logits, y))
		}
		scores = append(scores, score)
		logits.Free()
	}
	return scores, nil
}

// catch is the border between the mathematics, which panics, and its users.
func catch(err *error) {
	p := recover()
	if p == nil {
		return
	}
	if e, ok := p.(error); ok {
		var diverged *Diverged
		var engine *torch.Error
		if errors.As(e, &diverged) || errors.As(e, &engine) {
			*err = e
			return
		}
	}
	panic(p)
}
