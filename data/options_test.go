package data

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Options)
		want   []string // parts of the fault; none if the options are valid
	}{
		{"plain", func(o *Options) {}, nil},
		{"all keys", func(o *Options) {
			o.Augment, o.Validation = AugmentCropFlip, 0.1
			o.Mean, o.Std = []float64{0, 0.5, 1}, []float64{1, 2, 3}
		}, nil},
		{"set", func(o *Options) { o.Set = "imagenet" }, []string{"set is", `"imagenet"`, "fashion-mnist, mnist, cifar10, cifar100"}},
		{"batch", func(o *Options) { o.Batch = 0 }, []string{"batch is 0", "at least 1"}},
		{"limit", func(o *Options) { o.Limit = -1 }, []string{"limit is -1", "at least 0"}},
		{"test limit", func(o *Options) { o.TestLimit = -2 }, []string{"test_limit is -2"}},
		{"workers", func(o *Options) { o.Workers = 0 }, []string{"workers is 0"}},
		{"augment", func(o *Options) { o.Augment = "mixup" }, []string{"augment is", `"mixup"`, "none, crop-flip, resized-crop, barlow"}},
		{"validation", func(o *Options) { o.Validation = 1.5 }, []string{"validation is 1.5", "whole number"}},
		{"mean channels", func(o *Options) { o.Mean = []float64{0.5} }, []string{"mean has 1", "cifar10 has 3"}},
		{"mean range", func(o *Options) { o.Mean = []float64{0, 0, 125} }, []string{"mean holds 125", "between 0 and 1"}},
		{"std zero", func(o *Options) { o.Std = []float64{1, 0, 1} }, []string{"std holds 0", "above 0"}},
		{"std NaN", func(o *Options) { o.Std = []float64{1, 1, math.NaN()} }, []string{"std holds NaN"}},
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
		change func(o *Options, value string)
	}{
		{"Set", func(o *Options, v string) { o.Set = v }},
		{"Augment", func(o *Options, v string) { o.Augment = v }},
	} {
		field, _ := reflect.TypeFor[Options]().FieldByName(tt.field)
		for _, v := range strings.Fields(field.Tag.Get("oneof")) {
			o := options("mnist")
			tt.change(&o, v)
			if err := o.Validate(); err != nil {
				t.Errorf("%s=%s: %v", tt.field, v, err)
			}
		}
	}
	field, _ := reflect.TypeFor[Options]().FieldByName("Set")
	if got, want := len(strings.Fields(field.Tag.Get("oneof"))), len(specs); got != want {
		t.Errorf("the tag of Set lists %d sets, the package knows %d", got, want)
	}
}

func TestPortion(t *testing.T) {
	for _, tt := range []struct {
		text  string
		of, n int
	}{
		{"0", 100, 0}, {"-0", 100, 0}, {"0.0", 100, 0},
		{"0.1", 100, 10}, {"0.999", 10, 10}, {"1e-9", 100, 1}, {"0.25", 10, 3},
		{"1", 100, 1}, {"5000", 60000, 5000}, {"5e3", 60000, 5000}, {"7", 5, 7},
	} {
		var p Portion
		if err := p.UnmarshalText([]byte(tt.text)); err != nil {
			t.Errorf("%q: %v", tt.text, err)
		} else if got := p.Count(tt.of); got != tt.n {
			t.Errorf("%q of %d is %d images, want %d", tt.text, tt.of, got, tt.n)
		}
	}
	for _, text := range []string{"", "x", "-1", "-0.1", "1.5", "10%", "NaN", "Inf", "1e300", "5 000"} {
		p := Portion(7)
		wantFault(t, p.UnmarshalText([]byte(text)), "fraction", "whole number")
		if p != 7 {
			t.Errorf("%q changed the portion to %g", text, p)
		}
	}
}

func FuzzPortion(f *testing.F) {
	for _, text := range []string{"0", "0.1", "5000", "-1", "1e9", "0x1p-3", "nan"} {
		f.Add(text, 100)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		var p, q Portion
		if p.UnmarshalText([]byte(text)) != nil {
			return
		}
		out, err := p.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := q.UnmarshalText(out); err != nil || q != p || math.Signbit(float64(p)) {
			t.Fatalf("%q reads as %g, written %q, read again %g (%v)", text, p, out, q, err)
		}
		if n = n & 0xfffff; n > 0 {
			got := p.Count(n)
			if (p == 0) != (got == 0) || p < 1 && got > n || p >= 1 && Portion(got) != p {
				t.Fatalf("%q of %d is %d images", text, n, got)
			}
		}
	})
}
