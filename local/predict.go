package local

import (
	"slices"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Features returns what each module makes of images x [N, C, H, W], in evaluation mode, averaged over positions: [N, C_k], in
// float32 or better. It consumes x; the caller owns the features.
func Features(modules []*Module, x torch.Tensor, dtype torch.DType) (features []torch.Tensor, err error) {
	defer torch.Catch(&err)
	s := x.Device().Scope(torch.NoGrad)
	defer s.Close()
	p := nn.Evaluate(s, dtype)
	x = s.Adopt(x)
	for _, m := range modules {
		x = m.Body.Forward(p, x)
		features = append(features, float(p, average(p, x)))
	}
	for _, f := range features {
		f.Keep()
	}
	return features, nil
}

// average returns features averaged over positions: maps [N, C, H, W], tokens [N, T, C], or vectors, which stay.
func average(p *nn.Pass, x torch.Tensor) torch.Tensor {
	switch len(x.Shape()) {
	case 4:
		return nn.Flatten{}.Forward(p, nn.AvgPool{Side: 1}.Forward(p, p.Alias(x)))
	case 3:
		return nn.TokenMean{}.Forward(p, p.Alias(x))
	}
	return p.Alias(x)
}

// Predict runs modules on one image x [1, C, H, W], which it consumes, and returns the class probabilities of the first
// head whose best class reaches confidence, with its module's index; of the last head if none does or confidence is
// not positive. Modules behind the one that answers are not run.
func Predict(modules []*Module, x torch.Tensor, dtype torch.DType, confidence float64) (module int, probabilities []float64, err error) {
	defer torch.Catch(&err)
	s := x.Device().Scope(torch.NoGrad)
	defer s.Close()
	p := nn.Evaluate(s, dtype)
	x = s.Adopt(x)
	for _, m := range modules {
		x = m.Body.Forward(p, x)
		if !m.Last && (confidence <= 0 || m.Embeds) {
			continue
		}
		logits := m.Head.Forward(p, s.Alias(x))
		probabilities = s.Softmax(s.Cast(logits, torch.Float32)).Float64s()
		if m.Last || slices.Max(probabilities) >= confidence {
			return m.Index, probabilities, nil
		}
	}
	return 0, nil, nil
}
