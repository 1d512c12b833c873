package local

// layerwise is non-greedy local learning (Sec. 3.1): every module, on every batch, by its own loss alone.
var layerwise = Method{
	Name: "layerwise", Doc: "local learning, every module by its own loss",
	Claims: isolated,
	Compose: func(o Options) (Rule, Schedule) {
		return Rule{Objective: o.classify(), Term: None{}, Credit: o.credit()}, Together{}
	},
}

// isolated is what methods claim whose modules learn by back-propagation, each on its own.
var isolated = Claims{Backward: Inside, Locking: Never, Transport: Inside, Descends: true, Trains: "all modules on each batch"}
