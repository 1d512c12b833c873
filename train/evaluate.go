package train

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
)

// Evaluate returns accuracy and loss of every head of a model on images normalised by mean and std, and what else the
// method measures it by; NaN of one that gives no answers.
func Evaluate(ctx context.Context, m *Model, images data.Samples, mean, std []float64) ([]Accuracy, error) {
	defer torch.Pin()()
	loader := images.Batches(data.BatchOptions{Batch: m.Config.Data.Batch, Workers: m.Config.Data.Workers, KeepLast: true})
	defer loader.Close()
	var sums []local.Score
	seen := 0
	for {
		batch, err := loader.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		seen += batch.N
		scores, err := m.Learner.Evaluate(toTensors(m, batch, mean, std))
		if err != nil {
			return nil, err
		}
		if sums == nil {
			sums = make([]local.Score, len(scores))
		}
		for i, s := range scores {
			sums[i] = plus(sums[i], s)
		}
	}
	if seen == 0 {
		return nil, fault.New("%w: none of %d to evaluate on", data.ErrBroken, images.Len())
	}
	var all []Accuracy
	for _, s := range sums {
		all = append(all, accuracyOf(s, m.Rule.Measured()))
	}
	return all, nil
}

// plus adds up what a head was measured by.
func plus(a, b local.Score) local.Score {
	sums := append([]float64{}, b.Sums...)
	for i, s := range a.Sums {
		sums[i] += s
	}
	return local.Score{Top1: a.Top1 + b.Top1, Top5: a.Top5 + b.Top5, N: a.N + b.N, Loss: a.Loss + b.Loss, Sums: sums}
}

func accuracyOf(s local.Score, metrics []local.Metric) Accuracy {
	n := float64(s.N)                                                                                 // images that the head has answered on: without those that cannot be read
	a := Accuracy{Top1: 100 * float64(s.Top1) / n, Top5: 100 * float64(s.Top5) / n, Loss: s.Loss / n} // 0/0 is NaN
	for i, metric := range metrics {
		value := math.NaN()
		if i < len(s.Sums) {
			value = metric.Of(s.Sums[i], s.N)
		}
		a.Others = append(a.Others, Named{metric.Name, value})
	}
	return a
}
