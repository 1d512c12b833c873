package zoo_test

import (
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// An mlp takes maps, which it flattens, and vectors.
func TestMLPInputs(t *testing.T) {
	for _, in := range []nn.Shape{{C: 5}, {C: 1, H: 2, W: 3}} {
		net, err := zoo.New(zoo.Options{Name: "mlp", Depth: 2, Width: 4}, in, 3, nn.Init{Seed: 1, Device: torch.CPU})
		if err != nil {
			t.Fatal(err)
		}
		s := torch.NewScope(torch.NoGrad)
		shape := []int64{2, int64(in.C)}
		if in.H > 0 {
			shape = append(shape, int64(in.H), int64(in.W))
		}
		p := nn.Evaluate(s, torch.Float32)
		x := s.Full(torch.Float32, 0.5, shape...)
		for _, b := range net.Blocks {
			x = b.Layer.Forward(p, x)
		}
		if got := net.Classifier.Forward(p, x).Shape(); len(got) != 2 || got[0] != 2 || got[1] != 3 {
			t.Errorf("%v: answers have shape %v, want [2 3]", in, got)
		}
		s.Close()
		net.Free()
	}
}
