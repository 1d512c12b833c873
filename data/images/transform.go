package images

import (
	"cmp"
	"slices"
	"strings"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
)

var augments = []string{data.AugmentNone, data.AugmentCropFlip, data.AugmentResizedCrop, data.AugmentBarlow}

var mirrors = []string{data.MirrorChance, data.MirrorTurns}

// Transform is what a loader does to training images. The zero value delivers them as evaluation has them: those in
// memory as they are, those in files scaled and cropped at the centre.
type Transform struct {
	Augment     string // data.AugmentNone, which "" means too, or another of the constants
	Pad         int    // of crop-flip; 0 means 4
	Mirror      string // of crop-flip: one of the constants
	Flip        float64
	Crop        data.CropOptions
	Jitter      data.JitterOptions
	RandAugment data.RandAugmentOptions
	Erase       data.EraseOptions
	Mixup       float64 // α of the Beta distribution; 0 for none
	CutMix      float64 // the same; a batch gets one of both, each with probability ½
	Mean        []float64
}

// transformOf returns what the options ask for, where mean is the set's, one value a channel.
func transformOf(o data.Options, mean []float64) Transform {
	return Transform{
		Augment: o.Augment, Pad: o.Pad, Mirror: o.Mirror, Flip: o.Flip, Crop: o.Crop, Jitter: o.Jitter, RandAugment: o.RandAugment,
		Erase: o.Erase, Mixup: o.Mixup, CutMix: o.CutMix, Mean: mean,
	}
}

// colours reports whether anything is done to pixels after they were cropped.
func (t *Transform) colours() bool {
	return t.Augment == data.AugmentBarlow || anyJitter(&t.Jitter) || t.RandAugment.Ops > 0 || t.Erase.P > 0
}

func anyJitter(j *data.JitterOptions) bool {
	return j.P > 0 && (j.Brightness > 0 || j.Contrast > 0 || j.Saturation > 0 || j.Hue > 0)
}

// Limits of transforms; the tags of the options have the same. Beyond them there is nothing left of an image, or the
// arithmetic ends.
const (
	leastScale = 0.0001 // of an area
	leastRatio = 0.01   // of width and height, one over the other
	mostRatio  = 100
	mostJitter = 100
	mostPad    = 64 // pixels
	mostOps    = 64
	leastAlpha = 0.001 // below it Beta(α, α) underflows
	mostAlpha  = 1000
)

func checkAlpha(key string, alpha float64) error {
	if alpha > 0 && alpha < leastAlpha {
		return fault.New("%s is %g: must be 0, or from %g to %d", key, alpha, leastAlpha, mostAlpha)
	}
	return nil
}

// check returns a fault that names the first key, within the data section, whose value cannot be used, or nil. Ranges that
// are not used may be missing.
func (t *Transform) check() error {
	for _, r := range []struct {
		key    string
		values []float64
		least  float64
		most   float64
		used   bool
	}{
		{"crop.scale", t.Crop.Scale, leastScale, 1, t.randomPlace()},
		{"crop.ratio", t.Crop.Ratio, leastRatio, mostRatio, t.randomPlace()},
		{"erase.scale", t.Erase.Scale, leastScale, 1, t.Erase.P > 0},
		{"erase.ratio", t.Erase.Ratio, leastRatio, mostRatio, t.Erase.P > 0},
	} {
		if v := r.values; r.used && (len(v) != 2 || !(v[0] >= r.least && v[0] <= v[1] && v[1] <= r.most)) {
			return fault.New("%s is %v: must be two values from %g to %g, the smaller one first", r.key, r.values, r.least, r.most)
		}
	}
	if !slices.Contains(augments, cmp.Or(t.Augment, data.AugmentNone)) {
		return fault.New("augment is %q: must be one of %s", t.Augment, strings.Join(augments, ", "))
	}
	if !slices.Contains(mirrors, cmp.Or(t.Mirror, data.MirrorChance)) {
		return fault.New("mirror is %q: must be one of %s", t.Mirror, strings.Join(mirrors, ", "))
	}
	for _, r := range []struct {
		key         string
		value, most float64
	}{
		{"flip", t.Flip, 1}, {"pad", float64(t.Pad), mostPad}, {"jitter.p", t.Jitter.P, 1}, {"jitter.brightness", t.Jitter.Brightness, mostJitter},
		{"jitter.contrast", t.Jitter.Contrast, mostJitter}, {"jitter.saturation", t.Jitter.Saturation, mostJitter},
		{"jitter.hue", t.Jitter.Hue, 0.5}, {"erase.p", t.Erase.P, 1}, {"mixup", t.Mixup, mostAlpha},
		{"cutmix", t.CutMix, mostAlpha}, {"rand_augment.ops", float64(t.RandAugment.Ops), mostOps},
		{"rand_augment.magnitude", float64(t.RandAugment.Magnitude), 30},
	} {
		if !(r.value >= 0 && r.value <= r.most) {
			return fault.New("%s is %g: must be at least 0, and at most %g", r.key, r.value, r.most)
		}
	}
	if err := checkAlpha("mixup", t.Mixup); err != nil {
		return err
	}
	if err := checkAlpha("cutmix", t.CutMix); err != nil {
		return err
	}
	if t.Augment == data.AugmentBarlow && (anyJitter(&t.Jitter) || t.RandAugment.Ops > 0 || t.Erase.P > 0) {
		return fault.New("augment is %s, which has colours of its own: jitter, rand_augment and erase must be off", t.Augment)
	}
	return nil
}
