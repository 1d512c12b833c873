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
