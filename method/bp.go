package method

import "github.com/locus-learn/locus/local"

// bp is global back-propagation: the whole network is one module.
var bp = Method{
	Name: "bp", Doc: "global back-propagation",
	Claims: Claims{Backward: Whole, Locking: Whole, Transport: Whole, Descends: true, Trains: "the whole network"}, Cut: Nowhere,
	Compose: func(o Options) (local.Rule, local.Schedule) {
		return local.Rule{Objective: o.classify(), Term: local.None{}, Credit: o.credit()}, local.Together{}
	},
}
