package data

import (
	"math"

	"github.com/locus-learn/locus/internal/fault"
)

// Options is the `data:` section of a recipe. Its tags name the keys and their defaults; the zero value is not valid.
type Options struct {
	Set        string    `recipe:"set" default:"fashion-mnist" oneof:"@" doc:"which set to train on; folder holds train/CLASS/* and val/CLASS/*, multi-folder the same with an image in the folder of every class it has, tar holds shards train*.tar and val*.tar with entries CLASS/NAME, or NAME.jpg and NAME.cls, csv holds train.csv and val.csv of paths and labels, one or several an image: images in JPEG, PNG or WebP"`
	Dir        string    `recipe:"dir" doc:"a folder that holds the set, or holds the set's usual folder; --data goes first, $LOCUS_DATA and where distributions install come after; a relative one is looked for in those, too"`
	Batch      int       `recipe:"batch" default:"128" min:"1" max:"65536" doc:"images in a training batch"`
	Size       int       `recipe:"size" default:"0" min:"0" max:"4096" doc:"side of the images of folder and tar in pixels; 0 for 224"`
	Resize     int       `recipe:"resize" default:"0" min:"0" max:"8192" doc:"shorter side that images of folder and tar are scaled to before evaluation takes the centre; 0 for size·256/224"`
	Broken     Portion   `recipe:"broken" default:"0.01" allowed:"a fraction from 0 to below 1, or a whole number of images" doc:"stop when more images of folder or tar than this cannot be read: a fraction below 1, which allows at least one, or a count"`
	Augment    string    `recipe:"augment" default:"none" oneof:"none crop-flip resized-crop barlow" doc:"how training images are cropped: crop-flip pads, crops at random and mirrors half of the images; resized-crop scales a random part; barlow adds the colours of Barlow Twins"`
	Shuffle    bool      `recipe:"shuffle" default:"true" doc:"draw a new order of the training images each epoch"`
	Balanced   bool      `recipe:"balanced" default:"false" doc:"draw each epoch's images so that all classes are equally frequent: those of rare classes come again, and of frequent ones each epoch takes others"`
	Limit      int       `recipe:"limit" default:"0" min:"0" max:"1000000000" doc:"use at most this many training images, after validation was split off; 0 for all"`
	TestLimit  int       `recipe:"test_limit" default:"0" min:"0" max:"1000000000" doc:"use at most this many test images; 0 for all"`
	Validation Portion   `recipe:"validation" default:"0" allowed:"a fraction from 0 to below 1, or a whole number of images" doc:"split this off the training set by seed: a fraction below 1 or a count of images; 0 for none"`
	Stratify   bool      `recipe:"stratify" default:"false" doc:"split data.validation off class by class, so that each class keeps its share"`
	Test       Portion   `recipe:"test" default:"0" allowed:"a fraction from 0 to below 1, or a whole number of images" doc:"split this off the training set as test images, class by class, where the set has none, such as a folder without val; the same ones for every seed"`
	Workers    int       `recipe:"workers" default:"2" min:"1" max:"256" doc:"goroutines that prepare batches; results do not depend on it"`
	Mean       []float64 `recipe:"mean" min:"0" max:"1" doc:"subtracted from pixels in [0, 1], one value a channel; the set's own when empty"`
	Std        []float64 `recipe:"std" min:"0.0001" max:"1000" doc:"divides pixels after the mean is subtracted, one value a channel; the set's own when empty"`

	Pad         int                `recipe:"pad" default:"4" min:"1" max:"64" doc:"of crop-flip: zeros on each side of an image before it is cropped back to its size"`
	Mirror      string             `recipe:"mirror" default:"chance" oneof:"chance turns" doc:"of crop-flip: mirror an image with probability ½, or every second epoch, so that two epochs in a row show both (Jordan 2024)"`
	Flip        float64            `recipe:"flip" default:"0.5" min:"0" max:"1" doc:"probability of mirroring with resized-crop and barlow"`
	Crop        CropOptions        `recipe:"crop"`
	Jitter      JitterOptions      `recipe:"jitter"`
	RandAugment RandAugmentOptions `recipe:"rand_augment"`
	Erase       EraseOptions       `recipe:"erase"`
	Mixup       float64            `recipe:"mixup" default:"0" min:"0" max:"1000" doc:"α of the Beta distribution that Mixup draws from; 0 for none, 0.2 is usual"`
	CutMix      float64            `recipe:"cutmix" default:"0" min:"0" max:"1000" doc:"the same for CutMix, 1 is usual; with both, each batch gets one of them"`
}

// Limits of the options; their tags have the same.
const (
	mostBatch   = 65536
	mostWorkers = 256
)

// Choices lists the sets that are registered, for package recipe; set is the one key that asks.
func (Options) Choices(string) []string { return Names() }

// Validate returns a fault that names the first key, within the section, whose value cannot be used, or nil. It reads
// no file. What only some sets know is checked by the set's entry.
func (o Options) Validate() error {
	e, err := Lookup(o.Set)
	if err != nil {
		return err
	}
	for _, k := range []struct {
		key              string
		value, min, most int
	}{
		{"batch", o.Batch, 1, mostBatch},
		{"limit", o.Limit, 0, math.MaxInt},
		{"test_limit", o.TestLimit, 0, math.MaxInt},
		{"workers", o.Workers, 1, mostWorkers},
	} {
		if k.value < k.min {
			return fault.New("%s is %d: must be at least %d", k.key, k.value, k.min)
		}
		if k.value > k.most {
			return fault.New("%s is %d: must be at most %d", k.key, k.value, k.most)
		}
	}
	if err := o.Validation.check(); err != nil {
		return fault.New("validation is %g: %w", o.Validation, err)
	}
	if err := o.Test.check(); err != nil {
		return fault.New("test is %g: %w", o.Test, err)
	}
	if err := o.Broken.check(); err != nil {
		return fault.New("broken is %g: %w", o.Broken, err)
	}
	if o.Balanced && !o.Shuffle {
		return fault.New("balanced is true: must be false with shuffle false, since its order is drawn")
	}
	if e.Check != nil {
		return e.Check(o)
	}
	return o.plain()
}

// multiLabel returns a fault if a key is set that needs one class a sample, for a set whose samples have any number of them.
func (o Options) multiLabel(name string) error {
	switch {
	case o.Balanced:
		return fault.New("data.balanced is true: must be false for %s, whose images have any number of classes; loss.class_weights=balanced makes classes count alike", name)
	case o.Mixup != 0 || o.CutMix != 0:
		return fault.New("data.mixup is %g and data.cutmix %g: both must be 0 for %s, whose images have any number of classes", o.Mixup, o.CutMix, name)
	}
	return nil
}

// plain returns a fault if one of the keys is set that only image sets heed.
func (o Options) plain() error {
	for _, k := range []struct {
		key string
		set bool
	}{
		{"size", o.Size != 0}, {"resize", o.Resize != 0}, {"augment", o.Augment != "" && o.Augment != AugmentNone},
		{"mean", len(o.Mean) > 0}, {"std", len(o.Std) > 0}, {"rand_augment.ops", o.RandAugment.Ops != 0},
		{"jitter", o.Jitter.Brightness != 0 || o.Jitter.Contrast != 0 || o.Jitter.Saturation != 0 || o.Jitter.Hue != 0},
		{"erase.p", o.Erase.P != 0}, {"mixup", o.Mixup != 0}, {"cutmix", o.CutMix != 0},
	} {
		if k.set {
			return fault.New("%s is set: set %s does not use it; leave it out", k.key, o.Set)
		}
	}
	return nil
}
