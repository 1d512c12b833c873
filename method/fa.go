package method

import "github.com/locus-learn/locus/local"

// fa is feedback alignment (Lillicrap et al. 2016).
var fa = Method{
	Name: "fa", Doc: "feedback alignment: global back-propagation through fixed random weights (Lillicrap et al. 2016)",
	Claims: Claims{Backward: Whole, Locking: Whole, Transport: Never, Trains: "the whole network"},
	Cut:    Nowhere, Aux: "feedback",
	Compose: func(o Options) (local.Rule, local.Schedule) {
		return local.Rule{Objective: o.classify(), Term: local.None{}, Credit: local.Misaligned{Credit: o.credit()}}, local.Together{}
	},
}
