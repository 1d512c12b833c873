package local

import (
	"slices"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Predict runs modules on one image x [1, C, H, W], which it consumes, and returns the class probabilities of the first
// head whose best class reaches confidence, with its module's index; of the last head if none does or confidence is
// not positive. Modules behind the one that answers are not run.
func Predict(modules []*Module, x torch.Tensor, dtype torch.DType, confidence float64) (module int, probabilities []float64, err error) {
	defer catch(&err)
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	p := &nn.Pass{Scope: s, Compute: dtype}
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
