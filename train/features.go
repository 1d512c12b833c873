package train

import (
	"context"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
)

// features are what the modules of a model make of a set of images, averaged over positions.
type features struct {
	modules []torch.Tensor // [images, C_k] of each, float32, owned
	labels  []int64        // without those of images that cannot be read; zeros where images have any number of classes
	has     []byte         // which of them each has; nil elsewhere
}

func (f features) free() {
	for _, t := range f.modules {
		t.Free()
	}
}

// features runs a model on images normalised by mean and std, as they are evaluated. The caller frees them.
func (m *Model) features(ctx context.Context, images data.Samples, mean, std []float64) (f features, err error) {
	return m.featuresBy(ctx, images, mean, std, m.Chain.Features)
}

// featuresBy is features that are found by a function of the chain, which may give none of some modules.
func (m *Model) featuresBy(ctx context.Context, images data.Samples, mean, std []float64, find func([]torch.Tensor) ([][]torch.Tensor, error)) (f features, err error) {
	defer torch.Pin()()
	loader := m.batches(images, mean, data.BatchOptions{Batch: m.Config.Data.Batch, Workers: m.Config.Data.Workers, KeepLast: true})
	defer loader.Close()
	rows := make([][]byte, len(m.Learner.Modules()))
	for done := false; !done; {
		var batches []local.Signal
		if batches, done, err = m.gather(ctx, loader, mean, std, nil); err != nil {
			return f, err
		}
		var images []torch.Tensor
		for _, b := range batches {
			f.tell(b.Y)
			b.Y.Free()
			images = append(images, b.X)
		}
		all, err := find(images)
		if err != nil {
			return f, err
		}
		for _, each := range all {
			for k, t := range each {
				if !t.Defined() {
					continue
				}
				rows[k] = append(rows[k], t.Data()...)
				t.Free()
			}
		}
	}
	n := int64(len(f.labels))
	if n == 0 {
		return f, fault.New("%w: none of %d to find features of", data.ErrBroken, images.Len())
	}
	s := m.Device().Scope(torch.NoGrad)
	for k, bytes := range rows {
		if bytes == nil {
			f.modules = append(f.modules, torch.Tensor{})
			continue
		}
		width := int64(len(bytes)) / n / int64(torch.Float32.Size())
		f.modules = append(f.modules, s.FromBytes(torch.Float32, bytes, n, width).Keep())
		rows[k] = nil
	}
	return f, nil
}

// tell takes the labels of a batch.
func (f *features) tell(y torch.Tensor) {
	values, many := y.Float64s(), len(y.Shape()) > 1
	if many {
		f.labels = append(f.labels, make([]int64, y.Shape()[0])...)
	}
	for _, v := range values {
		if many {
			f.has = append(f.has, byte(v))
		} else {
			f.labels = append(f.labels, int64(v))
		}
	}
}

// measure returns the accuracy of every head of a model on some images of a set or, of a model trained without labels, the
// k-NN accuracy of every module's features.
func (m *Model) measure(ctx context.Context, set data.Source, images data.Samples, mean, std []float64) ([]Accuracy, error) {
	if m.Views() < 2 {
		return Evaluate(ctx, m, images, mean, std)
	}
	o := m.Config.Probe
	bank, err := m.features(ctx, data.Limit(set.Part(data.Train), o.Bank), mean, std)
	if err != nil {
		return nil, err
	}
	defer bank.free()
	queries, err := m.features(ctx, images, mean, std)
	if err != nil {
		return nil, err
	}
	defer queries.free()
	var all []Accuracy
	for k := range bank.modules {
		a, err := o.neighbours(ctx, bank, queries, k, m.Net.Classes)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}
