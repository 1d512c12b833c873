package train

import (
	"context"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
)

// Evaluate returns accuracy and loss of every head of a model on images normalised by mean and std, and what else the
// method measures it by; NaN of one that gives no answers. See [Accuracy] for images that have any number of classes.
func Evaluate(ctx context.Context, m *Model, images data.Samples, mean, std []float64) ([]Accuracy, error) {
	return m.evaluate(ctx, images, mean, std, nil, m.Learner.EvaluateAll)
}

// evaluate is [Evaluate] by a way to score batches. look, unless nil, sees each of them before, on loan.
func (m *Model) evaluate(ctx context.Context, images data.Samples, mean, std []float64, look func(data.Batch),
	score func([]local.Signal) ([][]local.Score, error)) ([]Accuracy, error) {
	defer torch.Pin()()
	loader := m.batches(images, mean, data.BatchOptions{Batch: m.Config.Data.Batch, Workers: m.Config.Data.Workers, KeepLast: true})
	defer loader.Close()
	var sums []local.Score
	var has truth
	if m.Rule.MultiLabel {
		look = has.look(look)
	}
	seen := 0
	for done := false; !done; {
		var batches []local.Signal
		var err error
		if batches, done, err = m.gather(ctx, loader, mean, std, look); err != nil {
			return nil, err
		}
		for _, b := range batches {
			seen += int(b.Y.Shape()[0])
		}
		all, err := score(batches)
		if err != nil {
			return nil, err
		}
		for _, scores := range all {
			if sums == nil {
				sums = make([]local.Score, len(scores))
			}
			for i, s := range scores {
				sums[i] = plus(sums[i], s)
			}
		}
	}
	if seen == 0 {
		return nil, fault.New("%w: none of %d to evaluate on", data.ErrBroken, images.Len())
	}
	var all []Accuracy
	for _, s := range sums {
		if m.Rule.MultiLabel {
			all = append(all, has.precisionOf(s, m.Net.Classes))
			continue
		}
		all = append(all, accuracyOf(s, m.Rule.Measured()))
	}
	return all, nil
}

// overflowed returns a fault that names the heads whose answers are not finite, nil if there are none: finite weights can have
// such answers, and would be told to be right by chance or never.
func (m *Model) overflowed(heads []Accuracy) error {
	if m.Views() > 1 { // measured by neighbours, which have no loss
		return nil
	}
	var modules []string
	for i, h := range heads {
		if (m.Rule.MultiLabel || !math.IsNaN(h.Top1)) && (math.IsNaN(h.Loss) || math.IsInf(h.Loss, 0)) {
			modules = append(modules, strconv.Itoa(i+1))
		}
	}
	if modules == nil {
		return nil
	}
	return fault.New("the answers of module %s are not finite, so that their accuracy means nothing: weights or images are too large for the precision; "+
		"use an earlier checkpoint", strings.Join(modules, ", "))
}

// gather returns the next batches that modules go over in a row, one where all are in memory, and whether they are the last.
// The caller owns them. look, unless nil, sees each as the loader has it.
func (m *Model) gather(ctx context.Context, loader data.Batches, mean, std []float64, look func(data.Batch)) (batches []local.Signal, done bool, err error) {
	visit := 1
	if m.Streams() {
		visit = m.Config.Method.Visit
	}
	for len(batches) < visit {
		batch, err := loader.Next(ctx)
		if errors.Is(err, io.EOF) {
			return batches, true, nil
		}
		if err != nil {
			for _, b := range batches {
				b.Free()
			}
			return nil, false, err
		}
		if look != nil {
			look(batch)
		}
		x, y := toTensors(m, batch, mean, std)
		batches = append(batches, local.Signal{X: x, Y: y})
	}
	return batches, false, nil
}

// plus adds up what a head was measured by.
func plus(a, b local.Score) local.Score {
	sums := append([]float64{}, b.Sums...)
	for i, s := range a.Sums {
		sums[i] += s
	}
	return local.Score{Top1: a.Top1 + b.Top1, Top5: a.Top5 + b.Top5, N: a.N + b.N, Loss: a.Loss + b.Loss, Sums: sums, Answers: append(a.Answers, b.Answers...)}
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
