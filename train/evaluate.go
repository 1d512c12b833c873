package train

import (
	"context"
	"errors"
	"io"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch"
)

// Evaluate returns the accuracy of every head of a model on images normalised by mean and std.
func Evaluate(ctx context.Context, m *Model, images data.Images, mean, std []float64) ([]Accuracy, error) {
	defer torch.Pin()()
	loader := data.NewLoader(images, data.LoaderOptions{Batch: m.Config.Data.Batch, Workers: m.Config.Data.Workers, KeepLast: true})
	defer loader.Close()
	var sum []Accuracy
	seen := 0 // images, without those that cannot be read
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
			sum = make([]Accuracy, len(scores))
		}
		for i, s := range scores {
			sum[i].Top1 += float64(s.Top1)
			sum[i].Top5 += float64(s.Top5)
		}
	}
	if seen == 0 {
		return nil, fault.New("%w: none of %d to evaluate on", data.ErrBroken, images.Len())
	}
	for i := range sum {
		sum[i].Top1 *= 100 / float64(seen)
		sum[i].Top5 *= 100 / float64(seen)
	}
	return sum, nil
}
