package local

// bp is global back-propagation: the whole network is one module.
var bp = Method{
	Name: "bp", Doc: "global back-propagation",
	Claims: Claims{Backward: Whole, Locking: Whole, Transport: Whole, Descends: true, Trains: "the whole network"}, Cut: Nowhere,
	Compose: func(o Options) (Rule, Schedule) {
		return Rule{Objective: o.classify(), Term: None{}, Credit: o.credit()}, Together{}
	},
}
