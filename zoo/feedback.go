package zoo

import (
	"math"

	"github.com/locus-learn/locus/nn"
)

// newNoHead builds nothing: the module learns without a loss of its own.
func newNoHead(HeadOptions, Cut, nn.Init) (nn.Layer, error) { return nn.Sequential{}, nil }

// newFeedback draws feedback for the weights of the whole network, which feedback alignment has in one module.
func newFeedback(at Cut, init nn.Init) (nn.Layer, error) {
	return nn.NewFeedback(init, at.Net.Params()), nil
}

// newProjection draws the matrix that takes errors or targets [N, classes] to a unit's activation, uniform in ±√(6/D) for
// D elements of a sample, as published (Frenkel et al. 2021).
func newProjection(at Cut, init nn.Init) (nn.Layer, error) {
	d := elements(at.Block().Layer.(*nn.Unit).Shape)
	return nn.NewProjection(init, at.Net.Classes, d, math.Sqrt(6/float64(d))), nil
}

// newModulation draws, for the first module, the matrix F that takes errors [N, classes] to the input, uniform in
// ±0.05·√(6/D) for D elements of an image, as published (Dellaferrera and Kreiman 2022).
func newModulation(at Cut, init nn.Init) (nn.Layer, error) {
	if at.Module > 1 {
		return nil, nil
	}
	d := elements(at.Net.Input)
	return nn.NewProjection(init, at.Net.Classes, d, 0.05*math.Sqrt(6/float64(d))), nil
}

// elements returns the size of one sample of a map or a vector.
func elements(s nn.Shape) int { return s.C * max(s.H, 1) * max(s.W, 1) }
