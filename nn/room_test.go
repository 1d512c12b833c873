package nn_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// What does not fit is an error before it is allocated.
func TestRoom(t *testing.T) {
	before := torch.LiveBytes()
	for _, tt := range []struct {
		bytes int64
		sizes []int // of square layers of n² + n elements of 4 bytes
		want  string
	}{
		{1 << 40, []int{1 << 31}, "fc.weight"}, // would overflow
		{1 << 40, []int{1 << 20}, "fc.weight of [1048576 1048576]"},
		{4 * 20, []int{4, 1}, "fc.weight of [1 1]"},
		{4*20 + 4, []int{4, 1}, "fc.bias of [1]"},
		{0, []int{1}, "fc.weight"},
	} {
		err := nn.Init{Room: nn.NewRoom(tt.bytes)}.Rehearse(func(i nn.Init) (all []*nn.Param, err error) {
			for _, n := range tt.sizes {
				all = append(all, nn.Params(nn.NewLinear(i.In("fc"), n, n))...)
			}
			return all, nil
		})
		if e, ok := errors.AsType[*nn.TooLarge](err); !ok || !strings.Contains(e.Error(), tt.want) {
			t.Errorf("%d bytes for %v: %v, want %q", tt.bytes, tt.sizes, err, tt.want)
		}
		if now := torch.LiveBytes(); now != before {
			t.Errorf("%d bytes live, %d before", now, before)
		}
	}
}

func TestRoomThatSuffices(t *testing.T) {
	room := nn.NewRoom(4 * 20)
	l := nn.NewLinear(nn.Init{Room: room}, 4, 4)
	defer nn.Free(nn.Params(l))
	nn.Init{}.Fits("any", 1<<40, 1<<40) // without a room everything does
}

// A rehearsal tells what does not fit without taking its memory.
func TestRehearse(t *testing.T) {
	before := torch.LiveTensors()
	peak := func(n int) (int64, error) {
		torch.ResetPeak()
		start := torch.LiveBytes()
		err := nn.Init{Room: nn.NewRoom(1 << 40)}.Rehearse(func(i nn.Init) ([]*nn.Param, error) {
			l := nn.NewLinear(i, n, n)
			if got := l.Weight.Value.Shape()[1]; got != int64(n) {
				t.Errorf("a row of %d", got)
			}
			return nn.Params(l), nil
		})
		return torch.PeakBytes() - start, err
	}
	if bytes, err := peak(1 << 18); err != nil || bytes > 1<<20 { // 2³⁸ bytes
		t.Errorf("%d bytes, %v", bytes, err)
	}
	if _, err := peak(1 << 20); err == nil {
		t.Error("2⁴² bytes fit into 2⁴⁰")
	}
	if now := torch.LiveTensors(); now != before {
		t.Errorf("%d tensors live, %d before", now, before)
	}
}
