package nn_test

import (
	"slices"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

func TestPassListsProducts(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	i := nn.Init{Device: torch.CPU}
	net := nn.Sequential{
		nn.NewConvNormReLU(i, "conv1", "bn1", 3, 6, 3, 2), nn.AvgPool{Side: 1}, nn.Flatten{}, nn.NewLinear(i.In("fc"), 6, 10),
	}
	defer nn.Free(nn.Params(net))
	var work []nn.Product
	net.Forward(&nn.Pass{Scope: s, Mode: nn.Mode{Compute: torch.Float32}, Tape: nn.Tape{Work: &work}}, s.Full(torch.Float32, 0, 2, 3, 7, 8))
	want := []nn.Product{{Weight: "conv1.weight", MACs: 2 * 6 * 4 * 4 * 27}, {Weight: "fc.weight", MACs: 2 * 6 * 10}}
	if !slices.Equal(work, want) {
		t.Errorf("products %v, want %v", work, want)
	}
}
