package images

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
)

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*data.Options)
		want   []string // parts of the fault; none if the options are valid
	}{
		{"plain", func(o *data.Options) {}, nil},
		{"all keys", func(o *data.Options) {
			o.Augment, o.Validation = data.AugmentCropFlip, 0.1
			o.Mean, o.Std = []float64{0, 0.5, 1}, []float64{1, 2, 3}
		}, nil},
		{"set", func(o *data.Options) { o.Set = "imagenet" }, []string{"set is", `"imagenet"`, "fashion-mnist, mnist, cifar10, cifar100"}},
		{"batch", func(o *data.Options) { o.Batch = 0 }, []string{"batch is 0", "at least 1"}},
		{"limit", func(o *data.Options) { o.Limit = -1 }, []string{"limit is -1", "at least 0"}},
		{"test limit", func(o *data.Options) { o.TestLimit = -2 }, []string{"test_limit is -2"}},
		{"workers", func(o *data.Options) { o.Workers = 0 }, []string{"workers is 0"}},
		{"augment", func(o *data.Options) { o.Augment = "mixup" }, []string{"augment is", `"mixup"`, "none, crop-flip, resized-crop, barlow"}},
		{"pad", func(o *data.Options) { o.Pad = -1 }, []string{"pad is -1", "at most 64"}},
		{"pad more", func(o *data.Options) { o.Pad = 65 }, []string{"pad is 65", "at most 64"}},
		{"mirror", func(o *data.Options) { o.Mirror = "never" }, []string{"mirror is", `"never"`, "chance, turns"}},
		{"validation", func(o *data.Options) { o.Validation = 1.5 }, []string{"validation is 1.5", "whole number"}},
		{"mean channels", func(o *data.Options) { o.Mean = []float64{0.5} }, []string{"mean has 1", "cifar10 has 3"}},
		{"mean range", func(o *data.Options) { o.Mean = []float64{0, 0, 125} }, []string{"mean holds 125", "between 0 and 1"}},
		{"std zero", func(o *data.Options) { o.Std = []float64{1, 0, 1} }, []string{"std holds 0", "above 0"}},
		{"std NaN", func(o *data.Options) { o.Std = []float64{1, 1, math.NaN()} }, []string{"std holds NaN"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options("cifar10")
			tt.change(&o)
			err := o.Validate()
			if tt.want != nil {
				wantFault(t, err, tt.want...)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// What the tags promise must be what Validate takes.
func TestOptionsTags(t *testing.T) {
	for _, tt := range []struct {
		field  string
		change func(o *data.Options, value string)
	}{
		{"Augment", func(o *data.Options, v string) { o.Augment = v }},
	} {
		field, _ := reflect.TypeFor[data.Options]().FieldByName(tt.field)
		for _, v := range strings.Fields(field.Tag.Get("oneof")) {
			o := options("mnist")
			tt.change(&o, v)
			if err := o.Validate(); err != nil {
				t.Errorf("%s=%s: %v", tt.field, v, err)
			}
		}
	}
}

// Values at the limits of the tags are taken, and those beyond them are not: the tags and Validate agree.
func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(o *data.Options)
		refused bool
	}{
		{"batch", func(o *data.Options) { o.Batch = 65536 }, false},
		{"batch above", func(o *data.Options) { o.Batch = 65537 }, true},
		{"workers", func(o *data.Options) { o.Workers = 256 }, false},
		{"workers above", func(o *data.Options) { o.Workers = 257 }, true},
		{"mixup", func(o *data.Options) { o.Mixup = 0.001 }, false},
		{"mixup below", func(o *data.Options) { o.Mixup = 1e-320 }, true},
		{"mixup above", func(o *data.Options) { o.Mixup = 1001 }, true},
		{"cutmix below", func(o *data.Options) { o.CutMix = 0.0009 }, true},
		{"operations", func(o *data.Options) { o.RandAugment.Ops = 65 }, true},
		{"jitter", func(o *data.Options) { o.Jitter.Brightness = 101 }, true},
		{"erase", func(o *data.Options) {
			o.Erase = data.EraseOptions{P: 1, Scale: []float64{0.0001, 1}, Ratio: []float64{0.01, 100}}
		}, false},
		{"erase ratio", func(o *data.Options) {
			o.Erase = data.EraseOptions{P: 1, Scale: []float64{0.1, 1}, Ratio: []float64{1e-300, 1e300}}
		}, true},
		{"erase scale", func(o *data.Options) {
			o.Erase = data.EraseOptions{P: 1, Scale: []float64{1e-320, 1}, Ratio: []float64{1, 1}}
		}, true},
	} {
		o := options("mnist")
		tt.change(&o)
		if err := o.Validate(); (err != nil) != tt.refused {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
