package method

import "github.com/locus-learn/locus/local"

// layerwise is non-greedy local learning (Sec. 3.1): every module, on every batch, by its own loss alone.
var layerwise = Method{
	Name: "layerwise", Doc: "local learning, every module by its own loss",
	Claims: isolated,
	Compose: func(o Options) (local.Rule, local.Schedule) {
		return local.Rule{Objective: o.classify(), Term: local.None{}, Credit: o.credit()}, local.Together{}
	},
}
