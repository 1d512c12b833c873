package local

import (
	"slices"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// WarmUp lets bodies stand still at the beginning, while their heads learn on what they put out.
type WarmUp struct {
	Schedule
	Share float64 // of the training
}

// Phase implements [Schedule].
func (w WarmUp) Phase(k, K int, done float64) Phase {
	phase := w.Schedule.Phase(k, K, done)
	if phase == Trains && done < w.Share {
		return Heads
	}
	return phase
}

// Rests reports whether nothing in the module's body learns: see [nn.Freeze]. Then its head alone does, unless that is frozen,
// too. A module in which nothing learns hands signals on and nothing else.
func (m *Module) Rests() bool { return m.rests }

// Trains reports whether anything in the module learns.
func (m *Module) Trains() bool {
	return slices.ContainsFunc(m.Params, func(p *nn.Param) bool { return p.Trainable })
}

// headTheta returns the trainable parameters of the head and of what the module has besides, which come last in Theta.
func (m *Module) headTheta() []torch.Tensor { return m.theta[len(m.bodyTheta()):] }

// gradients are those of a phase in which the module learns.
func (w *Work) gradients(phase Phase) (Gradients, Agreement) {
	if phase == Heads {
		return w.headGradients(), unmeasured
	}
	return w.Rule.Term.Gradients(w)
}

// headGradients are those of the module's objective by its head, on a body that stands still: it runs in evaluation mode, and
// nothing of it is recorded. The body has no gradients. Nor does the term have a part in it, which is about bodies that move.
// It consumes w's features.
func (w *Work) headGradients() Gradients {
	m := w.Module
	quiet := w.In.X.Device().Scope(torch.NoGrad)
	defer quiet.Close()
	x := quiet.Alias(w.In.X)
	w.In.X.Free()
	w.In.Delta.Free()
	w.In.X, w.In.Delta = torch.Tensor{}, torch.Tensor{}
	xk := w.Scope.Adopt(m.Body.Forward(nn.Evaluate(quiet, w.DType), quiet.Features(x, w.DType)).Keep())

	p := w.pass(w.DType, nil)
	loss := w.Rule.Objective.Loss(p, m, xk, w.In)
	g := Gradients{Loss: p.Number(p.Detach(loss)), X: xk}
	g.Theta = append(make([]torch.Tensor, len(m.bodyTheta())), p.Grad(loss, m.headTheta(), torch.GradOptions{})...)
	loss.Free()
	return g
}

// present leaves out what is no tensor.
func present(ts []torch.Tensor) []torch.Tensor {
	if !slices.ContainsFunc(ts, func(t torch.Tensor) bool { return !t.Defined() }) {
		return ts
	}
	return slices.DeleteFunc(slices.Clone(ts), func(t torch.Tensor) bool { return !t.Defined() })
}
