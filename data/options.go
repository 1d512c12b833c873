// Package data opens labelled image sets, splits them and delivers shuffled, augmented batches of bytes.
//
// Images are unsigned bytes, channels last; nothing here needs libtorch, and the mean and the deviation of a [Set] are for
// whoever turns the bytes into numbers. The path of an image is
//
//	files → Open → Set{Train, Validation, Test} → NewLoader → Next → Batch
//
// A small set is held in memory. Of an image folder or tar shards, only the places of the images are; each is read and
// decoded anew, by the loader's goroutines, whenever a batch needs it.
//
// The goroutines of the package belong to a [Loader], which documents them, and which [Loader.Close] ends; and to [Check],
// which waits for its own.
package data

import (
	"cmp"
	"math"

	"github.com/locus-learn/locus/internal/fault"
)

// Options is the `data:` section of a recipe. Its tags name the keys and their defaults; the zero value is not valid.
type Options struct {
	Set        string    `recipe:"set" default:"fashion-mnist" oneof:"fashion-mnist mnist cifar10 cifar100 folder tar" doc:"which set to train on; folder holds train/CLASS/* and val/CLASS/*, tar holds shards train*.tar and val*.tar with entries CLASS/NAME: images in JPEG, PNG or WebP"`
	Dir        string    `recipe:"dir" doc:"a folder that holds the set, or holds the set's usual folder; --data goes first, $LOCUS_DATA and where distributions install come after; a relative one is looked for in those, too"`
	Batch      int       `recipe:"batch" default:"128" min:"1" doc:"images in a training batch"`
	Size       int       `recipe:"size" default:"0" min:"0" doc:"side of the images of folder and tar in pixels; 0 for 224"`
	Resize     int       `recipe:"resize" default:"0" min:"0" doc:"shorter side that images of folder and tar are scaled to before evaluation takes the centre; 0 for size·256/224"`
	Broken     Portion   `recipe:"broken" default:"0.01" allowed:"a fraction from 0 to below 1, or a whole number of images" doc:"stop when more images of folder or tar than this cannot be read: a fraction below 1, which allows at least one, or a count"`
	Augment    string    `recipe:"augment" default:"none" oneof:"none crop-flip resized-crop barlow" doc:"how training images are cropped: crop-flip pads by 4, crops at random and mirrors half of the images; resized-crop scales a random part; barlow adds the colours of Barlow Twins"`
	Shuffle    bool      `recipe:"shuffle" default:"true" doc:"draw a new order of the training images each epoch"`
	Limit      int       `recipe:"limit" default:"0" min:"0" doc:"use at most this many training images, after validation was split off; 0 for all"`
	TestLimit  int       `recipe:"test_limit" default:"0" min:"0" doc:"use at most this many test images; 0 for all"`
	Validation Portion   `recipe:"validation" default:"0" allowed:"a fraction from 0 to below 1, or a whole number of images" doc:"split this off the training set by seed: a fraction below 1 or a count of images; 0 for none"`
	Workers    int       `recipe:"workers" default:"2" min:"1" doc:"goroutines that prepare batches; results do not depend on it"`
	Mean       []float64 `recipe:"mean" min:"0" max:"1" doc:"subtracted from pixels in [0, 1], one value a channel; the set's own when empty"`
	Std        []float64 `recipe:"std" above:"0" doc:"divides pixels after the mean is subtracted, one value a channel; the set's own when empty"`

	Flip        float64            `recipe:"flip" default:"0.5" min:"0" max:"1" doc:"probability of mirroring with resized-crop and barlow"`
	Crop        CropOptions        `recipe:"crop"`
	Jitter      JitterOptions      `recipe:"jitter"`
	RandAugment RandAugmentOptions `recipe:"rand_augment"`
	Erase       EraseOptions       `recipe:"erase"`
	Mixup       float64            `recipe:"mixup" default:"0" min:"0" doc:"α of the Beta distribution that Mixup draws from; 0 for none, 0.2 is usual"`
	CutMix      float64            `recipe:"cutmix" default:"0" min:"0" doc:"the same for CutMix, 1 is usual; with both, each batch gets one of them"`
}

// Defaults of images in files.
const (
	defaultSize = 224
	marginNum   = 256 // resize over size
	marginDen   = 224
)

// side returns the side of the images of a folder or of shards.
func (o Options) side() int { return cmp.Or(o.Size, defaultSize) }

// shorter returns what the shorter side of an image in a file is scaled to.
func (o Options) shorter() int { return cmp.Or(o.Resize, o.side()*marginNum/marginDen) }

// shorterFor is shorter where an image is to have a shape; sets in memory have no margin.
func (o Options) shorterFor(shape Shape) int {
	if s, err := lookup(o.Set); err == nil && s.scan != nil {
		return o.shorter()
	}
	return max(shape.H, shape.W)
}

// Validate returns a fault that names the first key, within the section, whose value cannot be used, or nil. It reads
// no file.
func (o Options) Validate() error {
	s, err := lookup(o.Set)
	if err != nil {
		return err
	}
	for _, k := range []struct {
		key        string
		value, min int
	}{
		{"batch", o.Batch, 1},
		{"limit", o.Limit, 0},
		{"test_limit", o.TestLimit, 0},
		{"workers", o.Workers, 1},
	} {
		if k.value < k.min {
			return fault.New("%s is %d: must be at least %d", k.key, k.value, k.min)
		}
	}
	t := o.Transform(o.Mean)
	if err := t.check(); err != nil {
		return err
	}
	if err := o.Validation.check(); err != nil {
		return fault.New("validation is %g: %w", o.Validation, err)
	}
	if err := o.Broken.check(); err != nil {
		return fault.New("broken is %g: %w", o.Broken, err)
	}
	if err := o.checkSizes(s); err != nil {
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

func (o Options) checkSizes(s *spec) error {
	switch {
	case s.scan == nil && (o.Size != 0 || o.Resize != 0):
		return fault.New("size is %d and resize %d: %s has images of %d×%d; both must be 0", o.Size, o.Resize, s.name, s.shape.H, s.shape.W)
	case o.Size < 0 || o.Size > mostSide:
		return fault.New("size is %d: must be at least 0, and at most %d", o.Size, mostSide)
	case o.Resize < 0 || o.Resize > mostSide*2 || o.shorter() < o.side() && s.scan != nil:
		return fault.New("resize is %d: must be 0, or from the size, %d, to %d", o.Resize, o.side(), 2*mostSide)
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
