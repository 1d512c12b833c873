package method

import (
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
)

// infopro is information propagation (Wang et al. 2021): modules also learn to keep what the image can be rebuilt from.
var infopro = Method{
	Name: "infopro", Doc: "information propagation: reconstruction of the image and cross-entropy (Wang et al. 2021)",
	Claims: isolated, Head: "infopro", Aux: "decoder", Fits: needsMaps("infopro"), Check: checkInfoPro,
	Compose: func(o Options) (local.Rule, local.Schedule) { return composeInfoPro(o, o.classify()) },
}

// infoproContrast is its contrastive variant, in which a module's own task is to tell classes apart.
var infoproContrast = Method{
	Name: "infopro-contrast", Doc: "information propagation: reconstruction and supervised contrast of an embedding (Wang et al. 2021)",
	Claims: isolated, Head: "contrast", Aux: "decoder", Fits: needsMaps("infopro-contrast"), Check: checkInfoPro,
	Compose: func(o Options) (local.Rule, local.Schedule) {
		return composeInfoPro(o, local.Contrast{Temperature: 0.07})
	},
}

func composeInfoPro(o Options, task local.Objective) (local.Rule, local.Schedule) {
	objective := local.InfoPro{Task: task, Last: o.classify(), Reconstruction: o.Reconstruction, Weight: o.Task}
	return local.Rule{Objective: objective, Term: local.None{}, Credit: o.credit(), Needs: local.Needs{Image: true}}, local.Together{}
}

// checkInfoPro refuses weights that are not two numbers.
func checkInfoPro(o Options) error {
	for _, k := range []struct {
		key     string
		weights []float64
	}{{"reconstruction", o.Reconstruction}, {"task", o.Task}} {
		if n := len(k.weights); n != 0 && n != 2 {
			return fault.New("method.%s is a list of %d numbers: must be 2, those of the first module and of the last but one, or empty for the published ones", k.key, n)
		}
	}
	return nil
}
