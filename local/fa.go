package local

import "github.com/locus-learn/locus/nn"

// Misaligned is back-propagation in which the module's Aux, an [nn.Feedback], takes the place of the weights.
type Misaligned struct{ Credit }

// Gradients implements [Credit].
func (f Misaligned) Gradients(p *nn.Pass, m *Module, o Objective, in Signal, want Want) Gradients {
	back := *p
	back.Back = m.Aux.(*nn.Feedback)
	return f.Credit.Gradients(&back, m, o, in, want)
}
