package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Evaluate implements [Learner].
func (c *Chain) Evaluate(x, y torch.Tensor) ([]Score, error) {
	all, err := c.EvaluateAll([]Signal{{X: x, Y: y}})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// EvaluateAll implements [Learner].
func (c *Chain) EvaluateAll(batches []Signal) ([][]Score, error) {
	return c.Examine(batches, nil)
}

// Examine is EvaluateAll that also tells what the heads say. hear, which may be nil, gets the logits [N, classes] of each
// module's head, in float32 or better, for each batch; it consumes nothing. A module whose head does not answer is passed over.
func (c *Chain) Examine(batches []Signal, hear Hear) ([][]Score, error) {
	scores, err := c.evaluateRun(0, len(c.modules), batches, hear)
	for _, b := range batches {
		b.Free()
	}
	return scores, err
}

// Hear takes what the head of a module says of a batch; both are counted from 0.
type Hear func(module, batch int, logits torch.Tensor)

// EvaluateRun is Evaluate for the modules from … end−1, for those who drive a run of the modules. It consumes in. Unless the
// last module is among them it returns the signal behind the run, which the caller owns.
func (c *Chain) EvaluateRun(from, end int, in Signal) (out Signal, scores []Score, err error) {
	batches := []Signal{in}
	all, err := c.evaluateRun(from, end, batches, nil)
	if err != nil || end == len(c.modules) {
		batches[0].Free()
	}
	if err != nil {
		return Signal{}, nil, err
	}
	if end < len(c.modules) {
		out = Signal{X: batches[0].X, Y: batches[0].Y}
	}
	return out, all[0], nil
}

// evaluateRun takes batches through the modules from … end−1, one module after the other, and returns the scores of each
// batch. The features of the batches become those behind the run.
func (c *Chain) evaluateRun(from, end int, batches []Signal, hear Hear) ([][]Score, error) {
	all := make([][]Score, len(batches))
	counts := make([][]torch.Tensor, len(batches))
	defer func() {
		for _, each := range counts {
			free(each)
		}
	}()
	modules := c.modules[from:end]
	for k, m := range modules {
		for i := range batches {
			all[i] = append(all[i], Score{})
		}
		visit := func() error {
			for i := range batches {
				var heard func(torch.Tensor)
				if hear != nil {
					heard = func(logits torch.Tensor) { hear(from+k, i, logits) }
				}
				more, err := c.evaluate(m, &batches[i], &all[i][k], heard)
				if err != nil {
					return err
				}
				counts[i] = append(counts[i], more...)
			}
			return nil
		}
		if len(batches) == 0 {
			break
		}
		if err := c.Residents.Use(from+k, false, visit); err != nil {
			return nil, err
		}
	}
	for i, b := range batches {
		if err := read(counts[i], modules, all[i], int(b.samples())); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// evaluate takes a batch through a module, and returns what [Chain.count] has counted, which the caller owns.
func (c *Chain) evaluate(m *Module, b *Signal, score *Score, hear func(logits torch.Tensor)) (counts []torch.Tensor, err error) {
	defer torch.Catch(&err)
	s := b.X.Device().Scope(torch.NoGrad)
	defer s.Close()
	p := nn.Evaluate(s, c.DType)
	b.X = m.Body.Forward(p, s.Adopt(b.X)).Keep()
	if m.Embeds {
		return nil, nil
	}
	counts = c.count(p, m, b.X, b.Y, score, hear)
	for _, t := range counts {
		t.Keep()
	}
	return counts, nil
}

// count returns how many of a head's answers are right, how many are among the five best, and their mean cross-entropy. What
// the rule measures besides goes into score. hear, unless nil, gets the answers.
func (c *Chain) count(p *nn.Pass, m *Module, x, y torch.Tensor, score *Score, hear func(logits torch.Tensor)) []torch.Tensor {
	logits := m.Head.Forward(p, p.Alias(x))
	if c.Rule.MultiLabel {
		return c.countMany(p, logits, y, score, hear)
	}
	top1, top5 := p.TopK(logits, y, 1), p.TopK(logits, y, min(5, int(logits.Shape()[1])))
	logits = float(p, logits)
	defer logits.Free()
	if hear != nil {
		hear(logits)
	}
	for _, metric := range c.Rule.Measured() {
		score.Sums = append(score.Sums, metric.Sum(p.Scope, logits, y))
	}
	return []torch.Tensor{top1, top5, p.CrossEntropy(logits, y, 0)}
}

// read completes scores by what has been counted on n samples, all at once.
func read(counts []torch.Tensor, modules []*Module, scores []Score, n int) (err error) {
	defer torch.Catch(&err)
	if len(counts) == 0 {
		return nil
	}
	s := counts[0].Device().Scope(torch.NoGrad)
	defer s.Close()
	values := s.Stack(counts).Float64s()
	for k, m := range modules {
		if !m.Embeds {
			scores[k].Top1, scores[k].Top5, scores[k].N, scores[k].Loss = int(values[0]), int(values[1]), n, float64(n)*values[2]
			values = values[3:]
		}
	}
	return nil
}
