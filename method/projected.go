package method

import "github.com/locus-learn/locus/local"

// dfa is direct feedback alignment (Nøkland 2016).
var dfa = Method{
	Name: "dfa", Doc: "direct feedback alignment: the output's error, projected to every layer by fixed random matrices (Nøkland 2016)",
	Claims: backpropFree(Inside, "the whole network, once its error is known"),
	Cut:    Everywhere, Head: "none", Aux: "projection", Fits: fitsReadout("dfa"),
	Compose: func(o Options) (local.Rule, local.Schedule) {
		credit := local.Projected{Scale: o.Feedback, Smoothing: o.Smoothing}
		return local.Rule{Objective: o.classify(), Term: local.None{}, Credit: credit, Needs: local.Needs{Error: true}, Closed: true}, local.Together{}
	},
}

// drtp is direct random target projection (Frenkel et al. 2021).
var drtp = Method{
	Name: "drtp", Doc: "direct random target projection: the targets, projected to every layer by fixed random matrices (Frenkel et al. 2021)",
	Claims: backpropFree(Never, "all layers on each batch"),
	Cut:    Everywhere, Head: "none", Aux: "projection", Fits: fitsReadout("drtp"),
	Compose: func(o Options) (local.Rule, local.Schedule) {
		credit := local.Projected{Targets: true, Scale: o.Feedback, Smoothing: o.Smoothing}
		return local.Rule{Objective: o.classify(), Term: local.None{}, Credit: credit, Closed: true}, local.Together{}
	},
}
