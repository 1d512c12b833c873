package testdevice_test

import (
	"testing"

	"github.com/locus-learn/locus/internal/testdevice"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/graphtest"
)

func TestGraphs(t *testing.T) { graphtest.Run(t, torch.TestDevice) }

// A launch is one operation, and waits for nothing.
func TestAGraphIsOneOperation(t *testing.T) {
	s := torch.TestDevice.Scope(torch.NoGrad)
	defer s.Close()
	x := s.Full(torch.Float32, 1, 3)
	g, err := torch.TestDevice.Record(func() {
		for range 5 {
			s.AddInPlace(x, x, 1)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Free()
	testdevice.Take()
	g.Launch()
	if c := testdevice.Take(); c.Operations != 1 || c.Stalls != 0 {
		t.Errorf("%v", c)
	}
	if got := x.Float64s()[0]; got != 32 {
		t.Errorf("x is %g, want 32", got)
	}
}
