package train

import (
	"context"
	"errors"
	"io"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch"
)

// Evaluate returns accuracy and loss of every head of a model on images normalised by mean and std; NaN of one that gives no
// answers.
func Evaluate(ctx context.Context, m *Model, images data.Samples, mean, std []float64) ([]Accuracy, error) {
	defer torch.Pin()()
	loader := images.Batches(data.BatchOptions{Batch: m.Config.Data.Batch, Workers: m.Config.Data.Workers, KeepLast: true})
	defer loader.Close()
	var sum []Accuracy
	var n []int // images that each head has answered on: without those that cannot be read
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
		scores, err := m.Learner.Evaluate(toTensors(batch, mean, std, m.Config.dtype()))
		if err != nil {
			return nil, err
		}
		if sum == nil {
			sum, n = make([]Accuracy, len(scores)), make([]int, len(scores))
		}
		for i, s := range scores {
			sum[i].Top1 += float64(s.Top1)
			sum[i].Top5 += float64(s.Top5)
			sum[i].Loss += s.Loss
			n[i] += s.N
		}
	}
	if seen == 0 {
		return nil, fault.New("%w: none of %d to evaluate on", data.ErrBroken, images.Len())
	}
	for i := range sum {
		sum[i].Top1 = 100 * sum[i].Top1 / float64(n[i]) // 0/0 is NaN
		sum[i].Top5 = 100 * sum[i].Top5 / float64(n[i])
		sum[i].Loss /= float64(n[i])
	}
	return sum, nil
}
