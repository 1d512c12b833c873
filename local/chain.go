package local

import (
	"fmt"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Chain drives modules in lock-step in the calling goroutine: each forwards, backwards, steps and frees before the
// next one starts. On a device other than the CPU nobody waits for a step's numbers: they are read when the next step has
// been handed to the device, all at once.
type Chain struct {
	Rule     Rule
	Schedule Schedule
	DType    torch.DType // of the activations
	Pixels   Pixels      // what the input was before it was normalised

	Residents *Residents // who of the modules is in memory; nil: all
	Queue     Queue      // where the signals of a [Stream] wait between visits; nil: in memory

	modules []*Module
	late    *Outcome // of the last step, if its numbers have not arrived
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
	channel := func(v []float64) torch.Tensor { return s.Constant(dtype, v, 1, c, 1, 1) }
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
		w := c.Worker(i)
		if signal, stats[i], err = w.Advance(signal, at); err != nil {
			forget(stats)
			return nil, err
		}
	}
	signal.Free()
	return c.leave(Outcome{at, stats})
}

// leave sends the numbers of a step on their way and returns the outcomes that can be told after it.
func (c *Chain) leave(now Outcome) (left []Outcome, err error) {
	defer torch.Catch(&err)
	return c.told(now, depart(now.Stats))
}

// told returns the outcomes that can be told after a step: its own or, where its numbers come late, that of the step before.
func (c *Chain) told(now Outcome, late bool) (left []Outcome, err error) {
	left, err = c.Drain()
	switch {
	case err != nil:
		forget(now.Stats)
	case late:
		c.late = &now
	default:
		left = append(left, now)
	}
	return left, err
}

// Worker returns what drives the i-th module, as the chain's options are now.
func (c *Chain) Worker(i int) *Worker {
	return &Worker{Module: c.modules[i], Rule: &c.Rule, Schedule: c.Schedule, DType: c.DType, Modules: len(c.modules)}
}

// Enter makes the signal in front of the first module at a step, for those who drive modules one by one with
// a [Worker]. It consumes x and y.
func (c *Chain) Enter(x, y torch.Tensor, step int) (in Signal, err error) {
	defer torch.Catch(&err)
	s := x.Device().Scope(torch.NoGrad)
	defer s.Close()
	in = Signal{X: x, Y: y}
	adopt(s, in)
	if rows, n := x.Shape()[0], in.samples(); c.Rule.Views > 1 && rows != 2*n {
		panic(&torch.Error{Op: "views", Text: fmt.Sprintf("%d images for %d labels: the method learns from two views of each", rows, n)})
	}
	if c.Rule.Needs.Image {
		in.Image = c.Pixels.restore(s, x)
	}
	if c.Rule.Needs.Error {
		in.Error = c.error(s, in, step)
	}
	return in.Map(torch.Tensor.Keep), nil
}

// error returns softmax(logits) − onehot(y) of the whole network, by a pass that leaves no trace in it and draws what the
// modules will draw when they train.
func (c *Chain) error(s *torch.Scope, in Signal, step int) torch.Tensor {
	p := nn.Repeat(s, c.DType, nil)
	x := s.Features(in.X, c.DType)
	for _, m := range c.modules {
		p.Draws = c.Rule.draws(m, step)
		x = m.Body.Forward(p, x)
	}
	logits := float(p, c.modules[len(c.modules)-1].Head.Forward(p, x))
	classes := int(logits.Shape()[1])
	return s.Add(s.Softmax(logits), s.OneHot(in.Y, classes), -1)
}

// Drain implements [Learner]: between steps the network is empty, but for numbers that have not arrived.
func (c *Chain) Drain() (left []Outcome, err error) {
	defer torch.Catch(&err)
	late := c.late
	if c.late = nil; late == nil {
		return nil, nil
	}
	if err := arrive(late.Stats); err != nil {
		return nil, err
	}
	return []Outcome{*late}, nil
}

// Close implements [Learner].
func (c *Chain) Close() {}
