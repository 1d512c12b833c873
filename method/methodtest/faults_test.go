package methodtest

import (
	"sync/atomic"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// objective lets a function be one.
type objective func(p *nn.Pass, m *local.Module, xk torch.Tensor, in local.Signal) torch.Tensor

func (f objective) Loss(p *nn.Pass, m *local.Module, xk torch.Tensor, in local.Signal) torch.Tensor {
	return f(p, m, xk, in)
}

// classify with a loss that is multiplied.
func times(p *nn.Pass, m *local.Module, xk torch.Tensor, in local.Signal, factor float64) torch.Tensor {
	return p.Scale(local.Classify{}.Loss(p, m, xk, in), factor)
}

// restless is an optimizer that never takes the same step twice.
type restless struct {
	optim.Optimizer
	steps *atomic.Int64
}

func (o restless) Step(grads []torch.Tensor, lr float64) {
	o.Optimizer.Step(grads, lr*float64(1+o.steps.Add(1)))
}

// overclaiming is another credit: it says that gradients are twice as large as they are.
type overclaiming struct{ local.Autograd }

func (c overclaiming) Gradients(p *nn.Pass, m *local.Module, o local.Objective, in local.Signal, want local.Want) local.Gradients {
	g := c.Autograd.Gradients(p, m, o, in, want)
	torch.ForeachScale(g.Theta, 2)
	return g
}

// Each fault is found, by the check that is there for it.
func TestFaultsAreFound(t *testing.T) {
	var leaked []torch.Tensor
	var steps atomic.Int64
	defer func() {
		for _, l := range leaked {
			l.Free()
		}
	}()
	for _, tt := range []struct {
		check, method string
		claims        func(*method.Claims)
		inject        func(*local.Chain)
	}{
		{check: "graph", method: "layerwise", claims: func(c *method.Claims) { c.Backward = method.Never }},
		{check: "transport", method: "layerwise", claims: func(c *method.Claims) { c.Transport = method.Never }},
		{check: "transport", method: "bp", claims: func(c *method.Claims) { c.Transport = method.Never }},
		{check: "locking", method: "layerwise", claims: func(c *method.Claims) { c.Locking = method.Whole }},
		{check: "locking", method: "layerwise", inject: func(c *local.Chain) { c.Rule.Needs.Error = true }},
		{check: "locking", method: "layerwise", claims: func(c *method.Claims) { c.Locking = method.Inside },
			inject: func(c *local.Chain) { c.Rule.Needs.Error = true }}, // and does not look at it
		{check: "locking", method: "layerwise", inject: func(c *local.Chain) { // a loss that looks at the next module
			c.Rule.Objective = objective(func(p *nn.Pass, m *local.Module, xk torch.Tensor, in local.Signal) torch.Tensor {
				return times(p, m, xk, in, 1+c.Modules()[m.Index%len(c.Modules())].Params[0].Value.Norm())
			})
		}},
		{check: "isolation", method: "layerwise", inject: func(c *local.Chain) { // one that looks at the next module's head
			c.Rule.Objective = objective(func(p *nn.Pass, m *local.Module, xk torch.Tensor, in local.Signal) torch.Tensor {
				return times(p, m, xk, in, 1+nn.Params(c.Modules()[m.Index%len(c.Modules())].Head)[0].Value.Norm())
			})
		}},
		{check: "isolation", method: "layerwise", inject: func(c *local.Chain) { // one that no body can change
			c.Rule.Objective = objective(func(p *nn.Pass, m *local.Module, xk torch.Tensor, in local.Signal) torch.Tensor {
				return p.Add(times(p, m, p.Detach(xk), in, 1), p.Sum(p.Scale(xk, 1e-3)), 1)
			})
		}},
		{check: "gradients", method: "layerwise", inject: func(c *local.Chain) {
			c.Rule.Objective = objective(func(p *nn.Pass, m *local.Module, xk torch.Tensor, in local.Signal) torch.Tensor {
				return times(p, m, xk, in, float64(m.Index-1))
			})
		}},
		{check: "descent", method: "layerwise", inject: func(c *local.Chain) { c.Rule.Credit = overclaiming{} }},
		{check: "descent", method: "sgr", inject: func(c *local.Chain) { c.Rule.Term.(*local.Reconcile).Lambda = 4 }},
		{check: "determinism", method: "layerwise", inject: func(c *local.Chain) {
			for _, m := range c.Modules() {
				m.Optim = restless{m.Optim, &steps}
			}
		}},
		{check: "tensors", method: "layerwise", inject: func(c *local.Chain) {
			c.Rule.Objective = objective(func(p *nn.Pass, m *local.Module, xk torch.Tensor, in local.Signal) torch.Tensor {
				leaked = append(leaked, p.Clone(in.X).Keep())
				return times(p, m, xk, in, 1)
			})
		}},
		{check: "schedule", method: "greedy", inject: func(c *local.Chain) { c.Schedule = half{} }},
		{check: "schedule", method: "layerwise", inject: func(c *local.Chain) { c.Schedule = lazy{} }},
	} {
		t.Run(tt.check+" of "+tt.method, func(t *testing.T) {
			s, err := newSubject(tt.method, 1, false)
			if err != nil {
				t.Fatal(err)
			}
			if tt.claims != nil {
				tt.claims(&s.method.Claims)
			}
			s.inject = tt.inject
			Run(s, func(f Finding) {
				if f.Check != tt.check {
					return
				}
				if t.Log(f.Failure); !f.Failed() {
					t.Errorf("it is not found: %s", f.Note)
				}
			})
		})
	}
}

// half never trains the last module.
type half struct{ local.Together }

func (half) Phase(k, K int, _ float64) local.Phase {
	if k == K {
		return local.Idle
	}
	return local.Trains
}

// lazy trains nobody in the second of its cycles.
type lazy struct{}

func (lazy) Phase(_, _ int, done float64) local.Phase {
	if done < 0.5 {
		return local.Trains
	}
	return local.Frozen
}

func (lazy) Cycles(int) int { return 2 }

// freezing lets module k of K stop to learn after the fraction k/K of the training, and thaws all at its very end.
type freezing struct{ local.Together }

func (freezing) Phase(k, K int, done float64) local.Phase {
	if done < float64(k)/float64(K) || done > 0.99 {
		return local.Trains
	}
	return local.Frozen
}

// A schedule may change who trains whenever it likes: the check follows it.
func TestScheduleMayChangeAtAnyTime(t *testing.T) {
	s, err := newSubject("layerwise", 1, false)
	if err != nil {
		t.Fatal(err)
	}
	s.inject = func(c *local.Chain) { c.Schedule = freezing{} }
	note, err := schedule(&s)
	if want := "modules train in [2 3 4] of 4 stretches"; err != nil || note != want {
		t.Errorf("%q, error %v, want %q", note, err, want)
	}
}
