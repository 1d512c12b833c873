package data_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
)

// spoilt is a set of which every batch of training samples is changed.
type spoilt struct {
	data.Source
	change func(*data.Batch)
}

func (s spoilt) Part(p data.Part) data.Samples {
	if p != data.Train {
		return s.Source.Part(p)
	}
	return spoiltSamples{s.Source.Part(p), s.change}
}

type spoiltSamples struct {
	data.Samples
	change func(*data.Batch)
}

func (s spoiltSamples) Batches(o data.BatchOptions) data.Batches {
	return spoiltBatches{s.Samples.Batches(o), s.change}
}

type spoiltBatches struct {
	data.Batches
	change func(*data.Batch)
}

func (s spoiltBatches) Next(ctx context.Context) (data.Batch, error) {
	b, err := s.Batches.Next(ctx)
	if err == nil {
		s.change(&b)
	}
	return b, err
}

// A check of a set of one's own finds what training would refuse.
func TestCheckFindsWrongBatches(t *testing.T) {
	change := func(*data.Batch) {}
	data.Register(data.Entry{Name: "test-spoilt", Doc: "a set that is wrong", Open: func(data.Options, []string) (data.Source, error) {
		table := data.Table{Floats: make([]float32, 12), Labels: []int64{0, 1, 2, 0, 1, 2}}
		whole, err := data.FromFloats(data.Shape{C: 2}, table, table)
		return spoilt{whole, change}, err
	}})
	for want, f := range map[string]func(*data.Batch){
		"": func(*data.Batch) {},
		"training batch 0 has 3 among its labels, at sample 1: must be 0 to 2": func(b *data.Batch) { b.Labels[1] = 3 },
		"has the value NaN in sample 2":                                        func(b *data.Batch) { b.Floats[4] = float32(math.NaN()) },
		"has samples of 2×2×1: must have 2×1×1":                                func(b *data.Batch) { b.Shape.H = 2 },
		"has 5 labels: must have 6":                                            func(b *data.Batch) { b.Labels = b.Labels[:5] },
	} {
		change = f
		r, err := data.Check(t.Context(), "test-spoilt", nil)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			if r.Status != data.Complete || r.Train.Images != 6 || r.Train.PerClass[2] != 2 {
				t.Errorf("a whole set: %+v", r)
			}
			continue
		}
		if r.Status != data.Broken || r.Train.Problem == nil || !strings.Contains(r.Train.Problem.Error(), want) {
			t.Errorf("%v, want %q", r.Train.Problem, want)
		}
	}
}
