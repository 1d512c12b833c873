package method

import (
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
)

// sgr is local learning with successive gradient reconciliation (Sec. 3.2, Algorithm 1).
var sgr = Method{
	Name: "sgr", Doc: "local learning with successive gradient reconciliation",
	Claims: isolated,
	Compose: func(o Options) (local.Rule, local.Schedule) {
		return local.Rule{Objective: o.classify(), Term: o.Reconcile(), Credit: o.credit()}, local.Together{}
	},
}

// Reconcile is SGR's term as the options have it.
func (o Options) Reconcile() *local.Reconcile {
	return &local.Reconcile{
		Lambda: o.Lambda, Ramp: o.Ramp, Normalize: o.Normalize, Reduction: local.Reduction(o.Reduction),
		Gradient: local.Way(o.Gradient), Every: o.Every, Fraction: o.Fraction,
	}
}

// withSGR returns the method with SGR's term in place of none: δ and r are then gradients of the modules' whole
// objectives, whatever these consist of. That is what Proposition 3.4 asks for: where neighbours agree, a module's
// own gradient, by which it moves, is that of the last module's loss.
func (m Method) withSGR(o Options) (Method, error) {
	rule, schedule := m.Compose(o)
	_, none := rule.Term.(local.None)
	_, reconciled := rule.Term.(*local.Reconcile)
	_, together := schedule.(local.Together)
	switch {
	case reconciled:
		return m, nil
	case m.Claims.Backward != Inside || !none:
		return m, fault.New("method.sgr is true: method.name %s has no local losses that back-propagation could reconcile; must be false", m.Name)
	case !together:
		return m, fault.New("method.sgr is true: method.name %s does not train neighbours on the same batch; must be false", m.Name)
	}
	compose := m.Compose
	m.Compose = func(o Options) (local.Rule, local.Schedule) {
		rule, schedule := compose(o)
		rule.Term = o.Reconcile()
		return rule, schedule
	}
	return m, nil
}
