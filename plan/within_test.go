package plan_test

import (
	"strings"
	"testing"

	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/train"
)

// A smaller budget takes no less time; each is kept; one that nothing meets is told with the least that will do.
func TestWithin(t *testing.T) {
	c, err := train.Load("", []string{"threads=1", "model.name=vit_ti", "model.image=32", "method.name=layerwise", "head.name=tokens", "optim.name=adamw"})
	if err != nil {
		t.Fatal(err)
	}
	spec := c.Spec(square(32))
	free, ok, err := plan.Within(spec, 8, 1<<40, plan.Options{})
	if err != nil || !ok || free.Streaming != nil || free.Accumulate != 1 || free.Price != 1 {
		t.Fatalf("without a bound: %+v, %v, %v", free, ok, err)
	}
	tight, ok, err := plan.Within(spec, 8, free.RestingBytes/3, plan.Options{})
	if err != nil || !ok || tight.Streaming == nil || tight.PeakBytes > free.RestingBytes/3 {
		t.Errorf("a third of what rests: %+v, %v, %v", tight, ok, err)
	}
	least, ok, err := plan.Within(spec, 8, 1000, plan.Options{})
	if err != nil || ok || least.PeakBytes < 1000 || least.PeakBytes > tight.PeakBytes || least.Accumulate != 4 {
		t.Errorf("nothing: %+v, %v, %v", least, ok, err)
	}
	if why := least.Why(); !strings.Contains(why, "a module at a time") || !strings.Contains(why, " MiB") {
		t.Error(why)
	}
	half, ok, err := plan.Within(spec, 8, free.RestingBytes/2, plan.Options{})
	if err != nil || !ok || half.PeakBytes > free.RestingBytes/2 || half.Price < 1 {
		t.Errorf("half of what rests: %+v, %v, %v", half, ok, err)
	}
}
