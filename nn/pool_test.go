package nn_test

import (
	"slices"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// A replay takes the elements that the recorded pass took, whatever they are now.
func TestMaxPoolIsAGate(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	pool := nn.MaxPool{K: 2, Stride: 2}
	forward := func(g *nn.Gates, x []float64) []float64 {
		return pool.Forward(&nn.Pass{Scope: s, Mode: nn.Mode{Train: true}, Tape: nn.Tape{Gates: g}}, s.FromDoubles(x, 1, 1, 2, 4)).Float64s()
	}
	before := torch.LiveTensors()
	gates := &nn.Gates{}
	falling, rising := []float64{8, 7, 6, 5, 4, 3, 2, 1}, []float64{1, 2, 3, 4, 5, 6, 7, 8}
	if got := forward(gates, falling); !slices.Equal(got, []float64{8, 6}) {
		t.Errorf("the maxima are %v", got)
	}
	for range 2 {
		gates.Replay()
		if got := forward(gates, rising); !slices.Equal(got, []float64{1, 3}) {
			t.Errorf("replayed: %v", got)
		}
	}
	gates.Free()
	if got := forward(nil, rising); !slices.Equal(got, []float64{6, 8}) {
		t.Errorf("without gates: %v", got)
	}
	s.Close()
	if n := torch.LiveTensors() - before; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
}
