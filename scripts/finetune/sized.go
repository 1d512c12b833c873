package main

import (
	"context"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/picture"
)

// sized returns a set whose images are scaled to a side, with Pillow's bilinear filter.
func sized(s data.Source, side int) data.Source {
	if shape := s.Info().Shape; shape.H == side && shape.W == side {
		return s
	}
	out := someClasses{Source: s, info: s.Info(), parts: map[data.Part]data.Samples{}}
	out.info.Shape.H, out.info.Shape.W = side, side
	for _, part := range []data.Part{data.Train, data.Validation, data.Test} {
		out.parts[part] = scaled{s.Part(part), side}
	}
	return out
}

// scaled is samples whose images have another side.
type scaled struct {
	data.Samples
	side int
}

// Subset implements [data.Samples].
func (s scaled) Subset(positions []int) data.Samples {
	return scaled{s.Samples.Subset(positions), s.side}
}

// Batches implements [data.Samples].
func (s scaled) Batches(o data.BatchOptions) data.Batches {
	return &scaling{Batches: s.Samples.Batches(o), side: s.side}
}

type scaling struct {
	data.Batches
	side    int
	pixels  []byte
	resizer picture.Resizer
}

// Next implements [data.Batches].
func (s *scaling) Next(ctx context.Context) (data.Batch, error) {
	b, err := s.Batches.Next(ctx)
	if err != nil {
		return b, err
	}
	from := b.Shape
	b.Shape.H, b.Shape.W = s.side, s.side
	if need := b.N * b.Shape.Size(); len(s.pixels) < need {
		s.pixels = make([]byte, need)
	}
	box := picture.Box{X1: float64(from.W), Y1: float64(from.H)}
	for i := range b.N {
		src := picture.Of(b.Bytes[i*from.Size():(i+1)*from.Size()], from.W, from.H, from.C)
		dst := picture.Of(s.pixels[i*b.Shape.Size():(i+1)*b.Shape.Size()], s.side, s.side, from.C)
		s.resizer.Resize(dst, src, box, picture.Bilinear)
	}
	b.Bytes = s.pixels[:b.N*b.Shape.Size()]
	return b, nil
}
