package data

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
)

// The values of Options.Augment: how training images are cropped.
const (
	AugmentNone        = "none"
	AugmentCropFlip    = "crop-flip"    // pad by 4 zeros, crop at random, mirror with probability ½
	AugmentResizedCrop = "resized-crop" // a random part of random shape, scaled; mirrored with probability Flip
	AugmentBarlow      = "barlow"       // resized-crop and the colours of Barlow Twins (Zbontar et al. 2021)
)

var augments = []string{AugmentNone, AugmentCropFlip, AugmentResizedCrop, AugmentBarlow}

// CropOptions is the `data.crop:` section: torchvision's RandomResizedCrop.
type CropOptions struct {
	Scale []float64 `recipe:"scale" default:"0.08,1" above:"0" max:"1" doc:"least and largest part of the image's area that resized-crop takes"`
	Ratio []float64 `recipe:"ratio" default:"0.75,1.3333333333333333" above:"0" doc:"least and largest width over height that resized-crop takes"`
}

// JitterOptions is the `data.jitter:` section: torchvision's ColorJitter, applied with probability P.
type JitterOptions struct {
	P          float64 `recipe:"p" default:"1" min:"0" max:"1" doc:"probability of colour jitter"`
	Brightness float64 `recipe:"brightness" default:"0" min:"0" doc:"factor from 1−brightness, at least 0, to 1+brightness; 0 for none"`
	Contrast   float64 `recipe:"contrast" default:"0" min:"0" doc:"the same for contrast"`
	Saturation float64 `recipe:"saturation" default:"0" min:"0" doc:"the same for saturation"`
	Hue        float64 `recipe:"hue" default:"0" min:"0" max:"0.5" doc:"turn of the colour circle, from −hue to hue; 0.5 is half a turn; 0 for none"`
}

// RandAugmentOptions is the `data.rand_augment:` section: torchvision's RandAugment with its 31 magnitudes, which fills
// with black and takes the nearest pixel.
type RandAugmentOptions struct {
	Ops       int `recipe:"ops" default:"0" min:"0" doc:"operations an image, drawn with replacement (n); 0 for none, 2 is usual"`
	Magnitude int `recipe:"magnitude" default:"9" min:"0" max:"30" doc:"strength of the operations (m)"`
}

// EraseOptions is the `data.erase:` section: torchvision's RandomErasing, which fills with the mean colour.
type EraseOptions struct {
	P     float64   `recipe:"p" default:"0" min:"0" max:"1" doc:"probability of erasing a rectangle; 0 for never, 0.25 is usual"`
	Scale []float64 `recipe:"scale" default:"0.02,0.33" above:"0" max:"1" doc:"least and largest part of the image's area that is erased"`
	Ratio []float64 `recipe:"ratio" default:"0.3,3.3" above:"0" doc:"least and largest height over width of what is erased"`
}

// Transform is what a loader does to training images. The zero value delivers them as evaluation has them: those in
// memory as they are, those in files scaled and cropped at the centre.
type Transform struct {
	Augment     string // AugmentNone, which "" means too, or another of the constants
	Flip        float64
	Crop        CropOptions
	Jitter      JitterOptions
	RandAugment RandAugmentOptions
	Erase       EraseOptions
	Mixup       float64 // α of the Beta distribution; 0 for none
	CutMix      float64 // the same; a batch gets one of both, each with probability ½
	Mean        []float64
}

// Transform returns what the options ask for, where mean is the set's, one value a channel.
func (o Options) Transform(mean []float64) Transform {
	return Transform{
		Augment: o.Augment, Flip: o.Flip, Crop: o.Crop, Jitter: o.Jitter, RandAugment: o.RandAugment,
		Erase: o.Erase, Mixup: o.Mixup, CutMix: o.CutMix, Mean: mean,
	}
}

// colours reports whether anything is done to pixels after they were cropped.
func (t *Transform) colours() bool {
	return t.Augment == AugmentBarlow || t.Jitter.any() || t.RandAugment.Ops > 0 || t.Erase.P > 0
}

func (j *JitterOptions) any() bool {
	return j.P > 0 && (j.Brightness > 0 || j.Contrast > 0 || j.Saturation > 0 || j.Hue > 0)
}

// check returns a fault that names the first key, within the data section, whose value cannot be used, or nil. Ranges that
// are not used may be missing.
func (t *Transform) check() error {
	for _, r := range []struct {
		key    string
		values []float64
		most   float64
		used   bool
	}{
		{"crop.scale", t.Crop.Scale, 1, t.randomPlace()}, {"crop.ratio", t.Crop.Ratio, math.MaxFloat64, t.randomPlace()},
		{"erase.scale", t.Erase.Scale, 1, t.Erase.P > 0}, {"erase.ratio", t.Erase.Ratio, math.MaxFloat64, t.Erase.P > 0},
	} {
		if v := r.values; r.used && (len(v) != 2 || !(v[0] > 0 && v[0] <= v[1] && v[1] <= r.most)) {
			return fault.New("%s is %v: must be two values above 0, the smaller one first", r.key, r.values)
		}
	}
	if !slices.Contains(augments, cmp.Or(t.Augment, AugmentNone)) {
		return fault.New("augment is %q: must be one of %s", t.Augment, strings.Join(augments, ", "))
	}
	for _, r := range []struct {
		key         string
		value, most float64
	}{
		{"flip", t.Flip, 1}, {"jitter.p", t.Jitter.P, 1}, {"jitter.brightness", t.Jitter.Brightness, math.MaxFloat64},
		{"jitter.contrast", t.Jitter.Contrast, math.MaxFloat64}, {"jitter.saturation", t.Jitter.Saturation, math.MaxFloat64},
		{"jitter.hue", t.Jitter.Hue, 0.5}, {"erase.p", t.Erase.P, 1}, {"mixup", t.Mixup, math.MaxFloat64},
		{"cutmix", t.CutMix, math.MaxFloat64}, {"rand_augment.ops", float64(t.RandAugment.Ops), math.MaxInt32},
		{"rand_augment.magnitude", float64(t.RandAugment.Magnitude), 30},
	} {
		if !(r.value >= 0 && r.value <= r.most) {
			return fault.New("%s is %g: must be at least 0, and at most %g", r.key, r.value, r.most)
		}
	}
	if t.Augment == AugmentBarlow && (t.Jitter.any() || t.RandAugment.Ops > 0 || t.Erase.P > 0) {
		return fault.New("augment is %s, which has colours of its own: jitter, rand_augment and erase must be off", t.Augment)
	}
	return nil
}
