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

// Answer is what the head of a module says of one sample.
type Answer struct {
	Module        int       // whose head answered, from 1
	Probabilities []float64 // one a class, in [0, 1]
}

// Predict runs modules on samples x [N, …], which it consumes, and returns an answer for each. A sample is answered by the
// first head whose best class reaches confidence, and by the last head if none does or confidence is not positive. The
// modules behind that head do not see it.
func Predict(modules []*Module, x torch.Tensor, dtype torch.DType, confidence float64) (answers []Answer, err error) {
	defer torch.Catch(&err)
	s := x.Device().Scope(torch.NoGrad)
	defer s.Close()
	p := nn.Evaluate(s, dtype)
	x = s.Adopt(x)
	answers = make([]Answer, x.Shape()[0])
	open := make([]int, len(answers)) // places of the samples that are still on their way
	for i := range open {
		open[i] = i
	}
	for _, m := range modules {
		x = m.Body.Forward(p, x)
		if !m.Last && (confidence <= 0 || m.Embeds) {
			continue
		}
		logits := m.Head.Forward(p, s.Alias(x))
		all := s.Softmax(s.Cast(logits, torch.Float32)).Float64s()
		classes := len(all) / len(open)
		var rows []int64
		var rest []int
		for i, place := range open {
			row := all[i*classes : (i+1)*classes : (i+1)*classes]
			if m.Last || slices.Max(row) >= confidence {
				answers[place] = Answer{m.Index, row}
				continue
			}
			rows, rest = append(rows, int64(i)), append(rest, place)
		}
		if len(rest) == 0 {
			break
		}
		if len(rest) < len(open) {
			whole := x
			x = s.Rows(whole, s.FromInts(rows))
			whole.Free()
		}
		open = rest
	}
	return answers, nil
}
