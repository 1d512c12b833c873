// Package data opens labelled image sets, splits them and delivers shuffled, augmented batches of bytes.
//
// A set is held in memory as unsigned bytes, channels last; nothing here needs libtorch, and the mean and the
// deviation of a [Set] are for whoever turns the bytes into numbers. The path of an image is
//
//	files → Open → Set{Train, Validation, Test} → NewLoader → Next → Batch
//
// All goroutines of the package belong to a [Loader], which documents them; [Loader.Close] ends them.
package data

import (
	"math"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
)

// The values of Options.Augment.
const (
	AugmentNone     = "none"
	AugmentCropFlip = "crop-flip" // pad by 4 zeros, crop at random, mirror with probability ½
)

// Options is the `data:` section of a recipe. Its tags name the keys and their defaults; the zero value is not valid.
type Options struct {
	Set        string    `recipe:"set" default:"fashion-mnist" oneof:"fashion-mnist mnist cifar10 cifar100" doc:"which set to train on"`
	Dir        string    `recipe:"dir" doc:"a folder that holds the set, or holds the set's usual folder; --data goes first, $LOCUS_DATA and where distributions install come after"`
	Batch      int       `recipe:"batch" default:"128" min:"1" doc:"images in a training batch"`
	Augment    string    `recipe:"augment" default:"none" oneof:"none crop-flip" doc:"what is done to training images: crop-flip pads by 4, crops at random and mirrors half of the images"`
	Shuffle    bool      `recipe:"shuffle" default:"true" doc:"draw a new order of the training images each epoch"`
	Limit      int       `recipe:"limit" default:"0" min:"0" doc:"use at most this many training images, after validation was split off; 0 for all"`
	TestLimit  int       `recipe:"test_limit" default:"0" min:"0" doc:"use at most this many test images; 0 for all"`
	Validation Portion   `recipe:"validation" default:"0" allowed:"a fraction from 0 to below 1, or a whole number of images" doc:"split this off the training set by seed: a fraction below 1 or a count of images; 0 for none"`
	Workers    int       `recipe:"workers" default:"2" min:"1" doc:"goroutines that prepare batches; results do not depend on it"`
	Mean       []float64 `recipe:"mean" min:"0" max:"1" doc:"subtracted from pixels in [0, 1], one value a channel; the set's own when empty"`
	Std        []float64 `recipe:"std" above:"0" doc:"divides pixels after the mean is subtracted, one value a channel; the set's own when empty"`
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
	if known := []string{AugmentNone, AugmentCropFlip}; !slices.Contains(known, o.Augment) {
		return fault.New("augment is %q: must be one of %s", o.Augment, strings.Join(known, ", "))
	}
	if err := o.Validation.check(); err != nil {
		return fault.New("validation is %g: %w", o.Validation, err)
	}
	inUnit := func(v float64) bool { return v >= 0 && v <= 1 }
	if err := checkChannels("mean", o.Mean, s, inUnit, "between 0 and 1"); err != nil {
		return err
	}
	positive := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }
	return checkChannels("std", o.Std, s, positive, "above 0")
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
