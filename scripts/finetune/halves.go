package main

import (
	"context"
	"errors"
	"io"

	"github.com/locus-learn/locus/data"
)

// someClasses is a set with some of another's classes, numbered from 0.
type someClasses struct {
	data.Source
	info  data.Info
	parts map[data.Part]data.Samples
}

// half returns the classes first … end−1 of a set, with at most so many samples, evenly drawn over the part's order.
func half(ctx context.Context, whole data.Source, first, end, train, test int) (data.Source, error) {
	s := someClasses{Source: whole, info: whole.Info(), parts: map[data.Part]data.Samples{}}
	s.info.Classes = s.info.Classes[first:end]
	for part, most := range map[data.Part]int{data.Train: train, data.Test: test, data.Validation: 0} {
		all := whole.Part(part)
		places, err := placesOf(ctx, all, first, end)
		if err != nil {
			return nil, err
		}
		if most > 0 && most < len(places) {
			thinned := make([]int, most)
			for i := range thinned {
				thinned[i] = places[i*len(places)/most]
			}
			places = thinned
		}
		s.parts[part] = shifted{all.Subset(places), int64(first)}
	}
	return s, nil
}

// placesOf returns where the samples of the classes first … end−1 stand.
func placesOf(ctx context.Context, all data.Samples, first, end int) (places []int, err error) {
	if all.Len() == 0 {
		return nil, nil
	}
	batches := all.Batches(data.BatchOptions{Batch: 500, Workers: 2, KeepLast: true})
	defer batches.Close()
	for at := 0; ; {
		b, err := batches.Next(ctx)
		if errors.Is(err, io.EOF) {
			return places, nil
		}
		if err != nil {
			return nil, err
		}
		for i, label := range b.Labels {
			if label >= int64(first) && label < int64(end) {
				places = append(places, at+i)
			}
		}
		at += b.N
	}
}

// Info implements [data.Source].
func (s someClasses) Info() data.Info { return s.info }

// Part implements [data.Source].
func (s someClasses) Part(part data.Part) data.Samples { return s.parts[part] }

// shifted is samples whose labels begin at another number than 0.
type shifted struct {
	data.Samples
	first int64
}

// Subset implements [data.Samples].
func (s shifted) Subset(positions []int) data.Samples {
	return shifted{s.Samples.Subset(positions), s.first}
}

// Batches implements [data.Samples].
func (s shifted) Batches(o data.BatchOptions) data.Batches {
	return renumbered{s.Samples.Batches(o), s.first}
}

type renumbered struct {
	data.Batches
	first int64
}

// Next implements [data.Batches].
func (r renumbered) Next(ctx context.Context) (data.Batch, error) {
	b, err := r.Batches.Next(ctx)
	labels := make([]int64, len(b.Labels))
	for i, label := range b.Labels {
		labels[i] = label - r.first
	}
	b.Labels = labels
	return b, err
}
