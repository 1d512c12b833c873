package local

import (
	"slices"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Features returns what each module makes of images [N, C, H, W], in evaluation mode, averaged over positions: [N, C_k], in
// float32 or better, one list a batch. It consumes the batches; the caller owns the features.
func (c *Chain) Features(batches []torch.Tensor) (features [][]torch.Tensor, err error) {
	return c.read(batches, false, func(_ *Module, p *nn.Pass, y torch.Tensor) torch.Tensor { return average(p, y) })
}

// HeadFeatures returns what the last linear layer of each head gets, whose module's number is among the given ones, for images
// [N, …]: [N, D], in float32 or better, one list a batch; no tensor for other heads. Bodies are in evaluation mode. What a head
// has in front of that layer runs as in training, for its running statistics are to be found; but where a batch is a single
// sample. It consumes the batches; the caller owns the features.
func (c *Chain) HeadFeatures(batches []torch.Tensor, modules []int) (features [][]torch.Tensor, err error) {
	return c.read(batches, true, func(m *Module, p *nn.Pass, y torch.Tensor) torch.Tensor {
		front, _, ok := nn.SplitLinear(m.Head)
		if !ok || !slices.Contains(modules, m.Index) {
			return torch.Tensor{}
		}
		q := nn.Evaluate(p.Scope, c.DType)
		if y.Shape()[0] > 1 {
			q = nn.Train(p.Scope, c.DType, c.Rule.draws(m, 0))
		}
		return front.Forward(q, p.Alias(y))
	})
}

// read takes batches, which it consumes, through all modules in evaluation mode, and returns what of makes of the features of
// each, which it does not consume.
func (c *Chain) read(batches []torch.Tensor, changes bool, of reader) (features [][]torch.Tensor, err error) {
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
		err := c.Residents.Use(k, changes, func() error {
			for i, x := range batches {
				y, f, err := c.features(m, x, of)
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

// reader makes something of a module's features, or nothing.
type reader func(m *Module, p *nn.Pass, y torch.Tensor) torch.Tensor

// features takes a batch, which it consumes, through a module. The caller owns both results.
func (c *Chain) features(m *Module, x torch.Tensor, of reader) (y, f torch.Tensor, err error) {
	defer torch.Catch(&err)
	s := x.Device().Scope(torch.NoGrad)
	defer s.Close()
	p := nn.Evaluate(s, c.DType)
	y = m.Body.Forward(p, s.Adopt(x))
	if f = of(m, p, y); f.Defined() {
		f = float(p, f).Keep()
	}
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
	Probabilities []float64 // one a class, in [0, 1]; they add up to 1 unless samples have any number of classes
}

// Predict runs the modules on samples x [N, …], which it consumes, and returns an answer for each. A sample is answered by
// the first head whose [Sureness] reaches confidence, and by the last head if none does or confidence is not positive. The
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
				logits := s.Cast(m.Head.Forward(p, s.Alias(x)), torch.Float32)
				if c.Rule.MultiLabel {
					all = sigmoids(logits.Float64s())
				} else {
					all = s.Softmax(logits).Float64s()
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if all == nil {
			continue
		}
		rows := sure(answers, open, all, m, confidence, c.Rule.MultiLabel)
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
func sure(answers []Answer, open []int, all []float64, m *Module, confidence float64, many bool) (rows []int64) {
	classes := len(all) / len(open)
	for i, place := range open {
		row := all[i*classes : (i+1)*classes : (i+1)*classes]
		if m.Last || Sureness(row, many) >= confidence {
			answers[place] = Answer{m.Index, row}
			continue
		}
		rows = append(rows, int64(i))
	}
	return rows
}
