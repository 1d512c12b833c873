package nn_test

import (
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Of what convolution, normalisation and ReLU put out, backward holds one map: the convolution's. The next convolution
// makes what the ReLU let through again, unless the graph will be differentiated twice.
func TestWhatConvolutionsKeep(t *testing.T) {
	const n, c, side, deep = 4, 16, 16, 3
	body := nn.Sequential{}
	init := nn.Init{Seed: 1, Device: torch.CPU}
	for i := range deep {
		body = append(body, nn.NewConvNormReLU(init.In(string(rune('a'+i))), "conv", "bn", c, c, 3, 1))
	}
	defer nn.Free(nn.Params(body))
	for _, tt := range []struct {
		twice bool
		maps  int64
	}{{false, deep}, {true, 2*deep - 1}} {
		s := torch.NewScope(torch.Grad)
		x := s.ChannelsLast(s.Full(torch.Float32, 1, n, c, side, side))
		before := torch.LiveBytes()
		y := body.Forward(&nn.Pass{Scope: s, Mode: nn.Mode{Train: true, Compute: torch.Float32}, Tape: nn.Tape{Twice: tt.twice}}, s.Alias(x))
		kept := torch.LiveBytes() - before - y.Bytes() - deep*2*c*4 // the result, means and deviations
		if kept != tt.maps*x.Bytes() {
			t.Errorf("differentiated twice: %v: backward holds %d bytes, want %d maps of %d", tt.twice, kept, tt.maps, x.Bytes())
		}
		s.Close()
	}
}
