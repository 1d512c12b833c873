package optim

import (
	"slices"

	"github.com/locus-learn/locus/torch"
)

// clip shortens gradients that are longer, all tensors together, than limit. (PyTorch's clip_grad_norm_.)
type clip struct {
	Optimizer
	limit float64
}

// Step implements [Optimizer].
func (c clip) Step(grads []torch.Tensor, lr float64) {
	if there := present(grads); len(there) > 0 {
		c.shorten(there)
	}
	c.Optimizer.Step(grads, lr)
}

// shorten scales gradients by limit/norm where that is less than 1.
func (c clip) shorten(grads []torch.Tensor) {
	s := grads[0].Device().Scope(torch.NoGrad)
	defer s.Close()
	length := s.Add(norm(s, grads), s.Double(1e-6), 1)
	torch.ForeachScaleBy(grads, s.Number(s.ClampMax(s.Div(s.Double(c.limit), length), 1)))
}

// accumulate hands the mean gradient of every n batches on, at the learning rate of the last one.
type accumulate struct {
	Optimizer
	group
	n     int
	sum   []torch.Tensor
	count counter // of the batches so far
}

func newAccumulate(o Optimizer, n int, g group) *accumulate {
	return &accumulate{o, g, n, g.zeros(), g.counter("accumulated")}
}

// Step implements [Optimizer].
func (a *accumulate) Step(grads []torch.Tensor, lr float64) {
	sums := slices.Clone(a.sum)
	for i, g := range grads {
		if !g.Defined() {
			sums[i] = torch.Tensor{}
		}
	}
	torch.ForeachAdd(present(sums), present(grads), 1/float64(a.n))
	if a.count.next()%a.n != 0 {
		return
	}
	a.Optimizer.Step(sums, lr)
	torch.ForeachScale(a.sum, 0)
}

// State implements [Optimizer].
func (a *accumulate) State() []State {
	return append(append(a.Optimizer.State(), a.states(a.sum, "sum")...), a.count.state())
}

// Free implements [Optimizer].
func (a *accumulate) Free() {
	a.Optimizer.Free()
	free(a.sum, []torch.Tensor{a.count.value})
	a.sum = nil
}

// ema keeps an exponential moving average of the parameters behind their updates: e ← decay·e + (1 − decay)·θ.
type ema struct {
	Optimizer
	group
	decay float64
	mean  []torch.Tensor
}

func newEMA(o Optimizer, decay float64, g group) *ema {
	e := &ema{o, g, decay, g.zeros()}
	torch.ForeachAdd(e.mean, g.theta, 1)
	return e
}

// Step implements [Optimizer].
func (e *ema) Step(grads []torch.Tensor, lr float64) {
	e.Optimizer.Step(grads, lr)
	torch.ForeachScale(e.mean, e.decay)
	torch.ForeachAdd(e.mean, e.theta, 1-e.decay)
}

// State implements [Optimizer].
func (e *ema) State() []State { return append(e.Optimizer.State(), e.states(e.mean, "ema")...) }

// Free implements [Optimizer].
func (e *ema) Free() {
	e.Optimizer.Free()
	free(e.mean)
	e.mean = nil
}

// SwapAverage exchanges the parameters of an optimizer with their averages, and reports whether it keeps any. A second
// call brings them back.
func SwapAverage(o Optimizer) bool {
	switch o := o.(type) {
	case *ema:
		o.swap()
		return true
	case *accumulate:
		return SwapAverage(o.Optimizer)
	}
	return false
}

func (e *ema) swap() {
	for i, theta := range e.theta {
		s := theta.Device().Scope(torch.NoGrad)
		old := s.Clone(theta)
		theta.Copy(e.mean[i])
		e.mean[i].Copy(old)
		s.Close()
	}
}
