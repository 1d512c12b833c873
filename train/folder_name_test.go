package train

import "testing"

func TestRunsAreNamedAfterModelAndMethod(t *testing.T) {
	for _, tt := range []struct {
		recipe string
		sets   []string
		want   string
	}{
		{"", nil, "mlp-sgr"},
		{"fashion-sgr", nil, "resnet32-sgr"},
		{"fashion-sgr", []string{"method.name=layerwise", "model.name=plainnet32"}, "plainnet32-layerwise"},
		{"fashion-sgr", []string{"name=mine"}, "mine"},
	} {
		c, err := Load(tt.recipe, tt.sets)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.RunName(); got != tt.want {
			t.Errorf("%s %v is called %s, want %s", tt.recipe, tt.sets, got, tt.want)
		}
	}
}
