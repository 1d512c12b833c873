package local

import "github.com/locus-learn/locus/nn"

// fa is feedback alignment (Lillicrap et al. 2016).
var fa = Method{
	Name: "fa", Doc: "feedback alignment: global back-propagation through fixed random weights (Lillicrap et al. 2016)",
	Claims: Claims{Backward: Whole, Locking: Whole, Transport: Never, Trains: "the whole network"},
	Cut:    Nowhere, Aux: "feedback",
	Compose: func(o Options) (Rule, Schedule) {
		return Rule{Objective: o.classify(), Term: None{}, Credit: Misaligned{o.credit()}}, Together{}
	},
}

// Misaligned is back-propagation in which the module's Aux, an [nn.Feedback], takes the place of the weights.
type Misaligned struct{ Credit }

// Gradients implements [Credit].
func (f Misaligned) Gradients(p *nn.Pass, m *Module, o Objective, in Signal, want Want) Gradients {
	back := *p
	back.Back = m.Aux.(*nn.Feedback)
	return f.Credit.Gradients(&back, m, o, in, want)
}
