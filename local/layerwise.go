package local

// layerwise is non-greedy local learning (Sec. 3.1): every module, on every batch, by its own loss alone.
var layerwise = Method{
	Name: "layerwise", Doc: "local learning, every module by its own loss",
	Compose: func(o Options) (Rule, Schedule) {
		return Rule{Objective: o.classify(), Term: None{}, Credit: o.credit()}, Together{}
	},
}
