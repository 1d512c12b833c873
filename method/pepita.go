package method

import "github.com/locus-learn/locus/local"

// pepita presents the error to perturb the input to modulate activity (Dellaferrera and Kreiman 2022).
var pepita = Method{
	Name: "pepita", Doc: "PEPITA: by the difference that a second pass makes, on the input modulated by the error (Dellaferrera and Kreiman 2022)",
	Claims: backpropFree(Inside, "the whole network, by a second forward pass"),
	Cut:    Everywhere, Head: "none", Aux: "modulation", Fits: fitsReadout("pepita"),
	Compose: func(o Options) (local.Rule, local.Schedule) {
		credit := local.Modulated{First: o.OutputError == "first", Scale: o.Feedback, Smoothing: o.Smoothing}
		return local.Rule{Objective: o.classify(), Term: local.None{}, Credit: credit, Needs: local.Needs{Error: true}, Closed: true}, local.Together{}
	},
}
