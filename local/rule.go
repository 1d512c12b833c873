package local

import (
	"fmt"

	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Objective is the loss that a module minimises on its own.
type Objective interface {
	// Loss returns L_k, a scalar in float32 or better, from the module's features x_k, labels and whatever else the
	// signal carries. It consumes nothing.
	Loss(p *nn.Pass, m *Module, xk torch.Tensor, in Signal) torch.Tensor
}

// TakesSoftTargets reports whether an objective takes soft targets for labels: see [Signal]. One that does has a method
// SoftTargets that returns true.
func TakesSoftTargets(o Objective) bool {
	soft, ok := o.(interface{ SoftTargets() bool })
	return ok && soft.SoftTargets()
}

// Credit finds gradients of a module's objective.
type Credit interface {
	// Gradients runs the module on signal in under pass p. It consumes nothing.
	Gradients(p *nn.Pass, m *Module, o Objective, in Signal, want Want) Gradients
}

// Term is what a method adds to the modules' objectives.
type Term interface {
	// Reads reports whether the term reads Signal.Delta at a step, so that modules must hand it on.
	Reads(step int) bool
	// Gradients returns the gradients of objective and term together. It consumes w's signal but for the labels.
	Gradients(w *Work) (Gradients, Agreement)
}

// Want says which gradients are asked for besides those of the parameters.
type Want struct {
	In    bool // with respect to the module's input
	Out   bool // with respect to its output
	Graph bool // keep the graph, so that In can be differentiated again
	Bare  bool // nothing of the parameters: Theta is empty. [Autograd] and what goes back by it spare themselves the work

	// Along, unless nil, is given In and returns a direction v at the input, along which the change of the parameters'
	// gradients is wanted, too: Theta is then the sum of both. No tensor stands for v = 0. Only [Autograd] has it.
	Along func(in torch.Tensor) torch.Tensor
}

// Gradients of L_k, owned by the scope of the pass that found them.
type Gradients struct {
	Loss     torch.Number   // L_k
	Lossless bool           // the module has no loss of its own: Loss is NaN
	X        torch.Tensor   // the features x_k, cut from their graph
	Mod      torch.Tensor   // those of a second, modulated pass, where the credit makes one: see Signal
	Theta    []torch.Tensor // ∂L_k/∂θ_k in the order of Module.Theta
	In       torch.Tensor   // δ = ∂L_k/∂x_{k−1}, where wanted
	Out      torch.Tensor   // ∂L_k/∂x_k, where wanted
}

// Rule trains one module on one signal. Its parts hold options and no state: workers of a [Pipeline] share them.
type Rule struct {
	Objective  Objective
	Term       Term
	Credit     Credit
	Seed       uint64 // root of what layers draw in training: dropout, stochastic depth
	Needs      Needs
	Metrics    []Metric // what heads are measured by, besides accuracy and what the objective names
	Views      int      // of each sample in a signal; 0 and 1 mean one. See [Signal]
	MultiLabel bool     // samples have any number of classes: labels are [N, classes], float32 zeros and ones. The objective knows it, too
	Closed     bool     // gradients come in closed form: nothing is recorded for autograd
	Reforward  bool     // hand on the features of the updated module, at the price of one more forward pass
}

// Needs says what signals carry besides features and labels.
type Needs struct {
	Image bool // the network's input before it was normalised
	Error bool // the network's error, from a forward pass through all modules before the first one trains
}

// Work is one module's share of a step: what a [Term] builds its gradients from.
type Work struct {
	Rule   *Rule
	Module *Module
	In     Signal
	Scope  *torch.Scope // owns every temporary of the step
	DType  torch.DType  // of the activations
	At     Tick
	out    bool
	part   bool // the signal is part of one that the module has trained on
}

// Gradients evaluates the module's own objective at x, recording or replaying gates (nil: neither) and computing in
// dtype. It does not consume x. ∂L_k/∂x_k is added to want when the next module reads it.
func (w *Work) Gradients(x torch.Tensor, dtype torch.DType, gates *nn.Gates, want Want) Gradients {
	p := w.pass(dtype, gates)
	want.Out = w.out && !w.part && !gates.Replaying()
	in := w.In
	in.X = x
	return w.Rule.Credit.Gradients(p, w.Module, w.Rule.Objective, in, want)
}

func (w *Work) pass(dtype torch.DType, gates *nn.Gates) *nn.Pass {
	p := nn.Train(w.Scope, dtype, w.Rule.draws(w.Module, w.At.Step)).Over(w.Rule.Views)
	p.Still, p.Gates, p.Peers = w.part, gates, w.Module.peers()
	return p
}

// draws returns the stream of a module at a step. Every pass of a step begins it anew and so draws alike.
func (r *Rule) draws(m *Module, step int) *nn.Draws {
	return nn.NewDraws(seed.Derive(r.Seed, "draw", uint64(m.Index), uint64(step)))
}

// Train updates module m on signal in, which it consumes, and returns what the next module gets; after the last
// module that is an empty signal. It waits for the step's numbers, wherever they are; who trains many modules lets a [Worker]
// do it. The error is a [*Diverged] or what the engine refused.
func (r *Rule) Train(m *Module, in Signal, dtype torch.DType, at Tick) (out Signal, stats Stats, err error) {
	if out, stats, err = r.train(m, in, dtype, at, Trains); err != nil {
		return Signal{}, stats, err
	}
	if err = stats.Arrive(); err != nil {
		out.Free()
		out = Signal{}
	}
	return out, stats, err
}

// train is [Rule.Train] with stats that may have to arrive, in a phase in which the whole module learns or its head.
func (r *Rule) train(m *Module, in Signal, dtype torch.DType, at Tick, phase Phase) (out Signal, stats Stats, err error) {
	defer func() { m.within.cause(&err) }()
	defer torch.Catch(&err)
	s := in.X.Device().Scope(torch.Mode(!r.Closed))
	defer s.Close()
	adopt(s, in)
	if err := m.settle(); err != nil {
		return Signal{}, untrained, err
	}
	if m.Optim == nil {
		return Signal{}, untrained, fmt.Errorf("%s has no optimizer: its model was built to infer", m)
	}
	var again torch.Tensor
	if r.Reforward && !m.Last {
		again = s.Alias(in.X)
	}
	w := r.work(m, in, s, dtype, at)
	g, agreement := w.gradients(phase)
	if m.ranks != nil {
		stats, err = w.share(g, agreement, again.Defined())
	} else if stats, err = w.stats(g, agreement); err == nil {
		m.Optim.Step(g.Theta, at.LR)
	}
	if err != nil {
		return Signal{}, stats, err
	}
	if m.Last {
		return Signal{}, stats, nil
	}
	if again.Defined() {
		g.X.Free()
		g.X = w.reforward(again)
	}
	return w.next(g), stats, nil
}

// work is a module's share of a step, on a scope that owns in.
func (r *Rule) work(m *Module, in Signal, s *torch.Scope, dtype torch.DType, at Tick) *Work {
	return &Work{Rule: r, Module: m, In: in, Scope: s, DType: dtype, At: at, out: r.Term.Reads(at.Step) && !m.Last}
}

// next is what the module behind gets, which the caller owns.
func (w *Work) next(g Gradients) Signal {
	out := Signal{X: g.X, Y: w.In.Y, Delta: g.Out, Image: w.In.Image, Error: w.In.Error, Mod: g.Mod}
	return out.Map(torch.Tensor.Keep)
}

// stats returns what a step has found. Where it is known already, it decides whether the step may be taken.
func (w *Work) stats(g Gradients, a Agreement) (Stats, error) {
	f := w.found(g, a)
	if !f.known() {
		for _, n := range f.numbers {
			n.Keep()
		}
		w.Module.late = f
		stats := untrained
		stats.late = f
		return stats, nil
	}
	w.Module.SetLastLoss(f.values[foundLoss])
	return Stats{Loss: f.values[foundLoss], SGR: f.values[foundSGR], Cos: f.values[foundCos]}, f.check()
}

// found is what a step has found, with whether its gradients are finite.
func (w *Work) found(g Gradients, a Agreement) *found {
	return newFound(w.Module, w.At.Step, g, a, w.Scope.Finite(present(g.Theta)))
}

// reforward returns the features of the module as it is now, by the statistics and the draws of the step. It consumes x;
// the caller owns the result.
func (w *Work) reforward(x torch.Tensor) torch.Tensor {
	s := x.Device().Scope(torch.NoGrad)
	defer s.Close()
	p := nn.Repeat(s, w.DType, w.Rule.draws(w.Module, w.At.Step)).Over(w.Rule.Views)
	p.Peers = w.Module.peers()
	y := p.Run(w.Module.Body, s.Features(x, w.DType)).Keep()
	x.Free()
	return y
}
