package local

// sgr is local learning with successive gradient reconciliation (Sec. 3.2, Algorithm 1).
var sgr = Method{
	Name: "sgr", Doc: "local learning with successive gradient reconciliation",
	Compose: func(o Options) (Rule, Schedule) {
		term := &Reconcile{
			Lambda: o.Lambda, Normalize: o.Normalize, Reduction: Reduction(o.Reduction),
			Double: o.Gradient == "double", Every: o.Every,
		}
		return Rule{Objective: o.classify(), Term: term, Credit: o.credit()}, Together{}
	},
}
