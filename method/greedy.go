package method

import "github.com/locus-learn/locus/local"

// greedy is greedy layer-wise training (Belilovsky et al. 2019): one module after the other, each until it is done.
var greedy = Method{
	Name: "greedy", Doc: "one module after the other, earlier ones frozen in evaluation mode; schedule.epochs counts for each (Belilovsky et al. 2019)",
	Claims: Claims{Backward: Inside, Locking: Never, Transport: Inside, Descends: true, Trains: "one module after the other"},
	Compose: func(o Options) (local.Rule, local.Schedule) {
		return local.Rule{Objective: o.classify(), Term: local.None{}, Credit: o.credit()}, local.OneByOne{}
	},
}
