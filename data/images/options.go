package images

import (
	"cmp"
	"math"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
)

// Defaults of images in files.
const (
	defaultSize = 224
	marginNum   = 256 // resize over size
	marginDen   = 224
)

// side returns the side of the images of a folder or of shards.
func side(o data.Options) int { return cmp.Or(o.Size, defaultSize) }

// shorter returns what the shorter side of an image in a file is scaled to.
func shorter(o data.Options) int { return cmp.Or(o.Resize, side(o)*marginNum/marginDen) }

// shorterFor is shorter where an image is to have a shape; sets in memory have no margin.
func shorterFor(o data.Options, shape data.Shape) int {
	if s, ok := lookup(o.Set); ok && s.scan != nil {
		return shorter(o)
	}
	return max(shape.H, shape.W)
}

// check returns a fault that names the first key, within the section, that this set cannot use, or nil.
func (s *spec) check(o data.Options) error {
	t := transformOf(o, o.Mean)
	if err := t.check(); err != nil {
		return err
	}
	if err := s.checkSizes(o); err != nil {
		return err
	}
	inUnit := func(v float64) bool { return v >= 0 && v <= 1 }
	if err := checkChannels("mean", o.Mean, s, inUnit, "between 0 and 1"); err != nil {
		return err
	}
	positive := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }
	return checkChannels("std", o.Std, s, positive, "above 0")
}

// mostSide bounds the sides of a batch's images.
const mostSide = 4096

func (s *spec) checkSizes(o data.Options) error {
	switch {
	case s.scan == nil && (o.Size != 0 || o.Resize != 0):
		return fault.New("size is %d and resize %d: %s has images of %d×%d; both must be 0", o.Size, o.Resize, s.name, s.shape.H, s.shape.W)
	case o.Size < 0 || o.Size > mostSide:
		return fault.New("size is %d: must be at least 0, and at most %d", o.Size, mostSide)
	case o.Resize < 0 || o.Resize > mostSide*2 || shorter(o) < side(o) && s.scan != nil:
		return fault.New("resize is %d: must be 0, or from the size, %d, to %d", o.Resize, side(o), 2*mostSide)
	}
	return nil
}

// checkChannels wants either no value or an allowed one for each channel of s.
func checkChannels(key string, values []float64, s *spec, ok func(float64) bool, allowed string) error {
	if len(values) != 0 && len(values) != s.shape.C {
		return fault.New("%s has %d values: %s has %d, one a channel", key, len(values), s.name, s.shape.C)
	}
	for _, v := range values {
		if !ok(v) {
			return fault.New("%s holds %g: each value must be %s", key, v, allowed)
		}
	}
	return nil
}
