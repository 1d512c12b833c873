package method_test

import (
	"strings"
	"testing"

	"github.com/locus-learn/locus/method"
)

// A tangent is refused before there is any module, which may be large, where the options show already that there is none.
func TestLookupRefusesTangents(t *testing.T) {
	for _, tt := range []struct {
		change func(*method.Options)
		want   string
	}{
		{func(*method.Options) {}, ""},
		{func(o *method.Options) { o.Name = "barlow-sgr" }, "method.name barlow-sgr"},
		{func(o *method.Options) { o.Checkpoint = "sqrt" }, "method.checkpoint none"},
		{func(o *method.Options) { o.Fraction = 0.5 }, "method.fraction is 0.5"},
		{func(o *method.Options) { o.Name, o.SGR = "infopro", true }, "method.name infopro"},
		{func(o *method.Options) { o.Name, o.SGR = "dgl", true }, ""},
		{func(o *method.Options) { o.Name, o.Checkpoint = "layerwise", "sqrt" }, ""}, // has no term
	} {
		o := method.Options{Name: "sgr", Modules: 3, Lambda: 1, Gradient: "tangent", Fraction: 1}
		tt.change(&o)
		_, _, err := method.Lookup(o)
		if got := err != nil; got != (tt.want != "") || got && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: want %q, got %v", o.Name, tt.want, err)
		}
	}
}
