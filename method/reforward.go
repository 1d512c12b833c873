package method

import "github.com/locus-learn/locus/local"

// reforward is layer-wise learning in which every module gets the features of the updated one before it.
var reforward = Method{
	Name: "reforward", Doc: "layer-wise, features handed on after the update, by a second forward pass",
	Claims: isolated,
	Compose: func(o Options) (local.Rule, local.Schedule) {
		return local.Rule{Objective: o.classify(), Term: local.None{}, Credit: o.credit(), Reforward: true}, local.Together{}
	},
}
