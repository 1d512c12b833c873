package train

import (
	"context"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/plan"
)

// Preview returns the first n samples that the recipe trains on, augmented as for training, and what their set says of
// itself. It looks for the set in dir first.
func (c Config) Preview(ctx context.Context, dir string, n int) (data.Batch, data.Info, error) {
	source, err := data.Open(c.Data, c.Seed, dirs(dir))
	if err != nil {
		return data.Batch{}, data.Info{}, err
	}
	train := source.Part(data.Train)
	if n = min(n, train.Len()); n < 1 {
		return data.Batch{}, source.Info(), fault.New("%s has no samples to train on", source.Info().Name)
	}
	batches := train.Batches(data.BatchOptions{Batch: n, Workers: 1, Augment: true, Shuffle: c.Data.Shuffle, Seed: c.Seed})
	defer batches.Close()
	b, err := batches.Next(ctx)
	return b, source.Info(), err
}

// Forecast predicts what a training step of the recipe takes, at the cuts that it has, by measuring its blocks one by one.
// It looks for the data set, which tells the form of the samples, in dir first. It must not run beside a training in the
// same process: that would count its tensors.
func (c Config) Forecast(dir string) (plan.Prediction, error) {
	source, err := data.Open(c.Data, c.Seed, dirs(dir))
	if err != nil {
		return plan.Prediction{}, err
	}
	spec, err := plan.Settle(c.Spec(inputOf(source.Info())), c.Data.Batch, c.runs())
	if err != nil {
		return plan.Prediction{}, err
	}
	p, err := plan.New(spec, plan.For(spec, c.Data.Batch))
	if err != nil {
		return plan.Prediction{}, err
	}
	defer p.Free()
	ends, err := p.Given()
	if err != nil {
		return plan.Prediction{}, err
	}
	return p.Predict(ends, c.Data.Batch)
}
