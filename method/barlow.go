package method

import (
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
)

// barlow is Barlow Twins (Zbontar et al. 2021): two views of an image are to embed alike, and the units of the embedding
// to say different things. It needs no labels.
var barlow = Method{
	Name: "barlow", Doc: "self-supervised: Barlow Twins on two views of each image, by back-propagation (Zbontar et al. 2021)",
	Claims: Claims{Backward: Whole, Locking: Whole, Transport: Whole, Descends: true, Trains: "the whole network"},
	Cut:    Nowhere, Head: "projector", LastHead: true, Fits: needsMaps("barlow"), Check: checkTwins,
	Compose: func(o Options) (local.Rule, local.Schedule) {
		return o.twins(local.None{}, o.credit()), local.Together{}
	},
}

// barlowBlockwise is blockwise self-supervised learning (Siddiqui et al. 2023). Every module steps, and frees what it
// needed to, before the next one starts.
var barlowBlockwise = Method{
	Name: "barlow-blockwise", Doc: "self-supervised: Barlow Twins in every module, with noise on its input (Siddiqui et al. 2023)",
	Claims: isolated, Head: "projector", LastHead: true, Fits: needsMaps("barlow-blockwise"), Check: checkTwins,
	Compose: func(o Options) (local.Rule, local.Schedule) {
		return o.twins(local.None{}, local.Noisy{Credit: o.credit(), Deviation: o.Noise}), local.Together{}
	},
}

// barlowSGR is Barlow Twins in every module with successive gradient reconciliation: δ and r are gradients with respect to
// the features of both views, and S is a mean over samples and views.
var barlowSGR = Method{
	Name: "barlow-sgr", Doc: "self-supervised: Barlow Twins in every module, with successive gradient reconciliation on both views",
	Claims: isolated, Head: "projector", LastHead: true, Fits: needsMaps("barlow-sgr"), Check: checkTwins,
	Compose: func(o Options) (local.Rule, local.Schedule) {
		return o.twins(o.Reconcile(), o.credit()), local.Together{}
	},
}

func (o Options) twins(term local.Term, credit local.Credit) local.Rule {
	return local.Rule{Objective: local.Twins{Redundancy: o.Redundancy}, Term: term, Credit: credit, Views: 2}
}

// checkTwins refuses what has no meaning without labels.
func checkTwins(o Options) error {
	if o.Smoothing != 0 {
		return fault.New("method.label_smoothing is %g: must be 0 for method.name %s, which learns without labels", o.Smoothing, o.Name)
	}
	return nil
}
