package method

import "github.com/locus-learn/locus/local"

// etfSGR is etf with successive gradient reconciliation, in closed form, too (Appendix D).
var etfSGR = Method{
	Name: "etf-sgr", Doc: "etf with successive gradient reconciliation in closed form; method.gradient exact, or paper for Eq. 35 as printed",
	Claims: descends(backpropFree(Never, "all layers on each batch")),
	Cut:    Everywhere, Head: "etf", LastHead: true, Fits: fitsUnits("etf-sgr"),
	GradientOptions: []string{"exact", "paper"},
	Compose: func(o Options) (local.Rule, local.Schedule) {
		form := local.ClosedForm{Smoothing: o.Smoothing}
		term := &local.ClosedReconcile{Reconcile: o.Reconcile(), Form: form, Exact: o.Gradient != "paper"}
		return local.Rule{Objective: o.classify(), Term: term, Credit: form, Closed: true}, local.Together{}
	},
}
