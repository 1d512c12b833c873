package local

import (
	"slices"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Features returns what each module makes of images [N, C, H, W], in evaluation mode, averaged over positions: [N, C_k], in
// float32 or better, one list a batch. It consumes the batches; the caller owns the features.
func (c *Chain) Features(batches []torch.Tensor) (features [][]torch.Tensor, err error) {
	features = make([][]torch.Tensor, len(batches))
	defer func() {
		free(batches)
		if err != nil {
			for _, each := range features {
				free(each)
			}
		}
	}()
	for k, m := range c.modules {
		err := c.Residents.Use(k, false, func() error {
			for i, x := range batches {
				y, f, err := c.features(m, x)
				if err != nil {
					return err
				}
				batches[i] = y
				features[i] = append(features[i], f)
			}
			return nil
		})
		if err != nil {
			return features, err
		}
	}
	return features, nil
}

// features takes a batch, which it consumes, through a module. The caller owns both results.
func (c *Chain) features(m *Module, x torch.Tensor) (y, f torch.Tensor, err error) {
	defer torch.Catch(&err)
	s := x.Device().Scope(torch.NoGrad)
	defer s.Close()
	p := nn.Evaluate(s, c.DType)
	y = m.Body.Forward(p, s.Adopt(x))
	f = float(p, average(p, y)).Keep()
	return y.Keep(), f, nil
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

// Predict runs the modules on samples x [N, …], which it consumes, and returns an answer for each. A sample is answered by
// the first head whose best class reaches confidence, and by the last head if none does or confidence is not positive. The
// modules behind that head do not see it.
func (c *Chain) Predict(x torch.Tensor, confidence float64) (answers []Answer, err error) {
	defer torch.Catch(&err)
	s := x.Device().Scope(torch.NoGrad)
	defer s.Close()
	p := nn.Evaluate(s, c.DType)
	x = s.Adopt(x)
	answers = make([]Answer, x.Shape()[0])
	open := make([]int, len(answers)) // places of the samples that are still on their way
	for i := range open {
		open[i] = i
	}
	for k, m := range c.modules {
		var all []float64 // probabilities; none where the head is not asked
		err := c.Residents.Use(k, false, func() (err error) {
			defer torch.Catch(&err)
			x = m.Body.Forward(p, x)
			if m.Last || confidence > 0 && !m.Embeds {
				all = s.Softmax(s.Cast(m.Head.Forward(p, s.Alias(x)), torch.Float32)).Float64s()
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if all == nil {
			continue
		}
		rows := sure(answers, open, all, m, confidence)
		if len(rows) == 0 {
			break
		}
		if len(rows) < len(open) {
			rest := make([]int, len(rows))
			for i, row := range rows {
				rest[i] = open[row]
			}
			whole := x
			x = s.Rows(whole, s.FromInts(rows))
			whole.Free()
			open = rest
		}
	}
	return answers, nil
}

// sure takes the answers of a module's head to the samples at the places open, where it is sure enough, and returns the rows
// of the others.
func sure(answers []Answer, open []int, all []float64, m *Module, confidence float64) (rows []int64) {
	classes := len(all) / len(open)
	for i, place := range open {
		row := all[i*classes : (i+1)*classes : (i+1)*classes]
		if m.Last || slices.Max(row) >= confidence {
			answers[place] = Answer{m.Index, row}
			continue
		}
		rows = append(rows, int64(i))
	}
	return rows
}
