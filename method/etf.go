package method

import "github.com/locus-learn/locus/local"

// etf is layer-wise learning without back-propagation (Sec. 3.3): every layer with its nonlinearity is a module, its head
// a fixed simplex equiangular tight frame, its gradient a formula.
var etf = Method{
	Name: "etf", Doc: "every layer by its own fixed ETF head, in closed form, without autograd (Sec. 3.3)",
	Claims: descends(backpropFree(Never, "all layers on each batch")),
	Cut:    Everywhere, Head: "etf", LastHead: true, Fits: fitsUnits("etf"),
	Compose: func(o Options) (local.Rule, local.Schedule) { return o.closedForm(), local.Together{} },
}

// etfReforward is etf in which every module gets the features of the updated one before it (Table 4's reforward).
var etfReforward = Method{
	Name: "etf-reforward", Doc: "etf, features handed on after the update, by a second forward pass",
	Claims: etf.Claims, Cut: etf.Cut, Head: etf.Head, LastHead: true, Fits: fitsUnits("etf-reforward"),
	Compose: func(o Options) (local.Rule, local.Schedule) {
		rule := o.closedForm()
		rule.Reforward = true
		return rule, local.Together{}
	},
}

func (o Options) closedForm() local.Rule {
	return local.Rule{Objective: o.classify(), Term: local.None{}, Credit: local.ClosedForm{Smoothing: o.Smoothing}, Closed: true}
}
