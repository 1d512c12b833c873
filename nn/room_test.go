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

// What is stored elsewhere is compared before it is allocated, and not drawn; what is spare takes no memory.
func TestStored(t *testing.T) {
	missing := errors.New("missing")
	before, bytes := torch.LiveTensors(), torch.LiveBytes()
	var asked []string
	i := nn.Init{Stored: func(name string, shape []int64) error {
		asked = append(asked, name)
		switch name {
		case "spare.weight", "spare.bias":
			return nn.ErrSpare
		case "other.weight":
			return missing
		}
		return nil
	}}
	err := i.Rehearse(func(i nn.Init) ([]*nn.Param, error) {
		return nn.Params(nn.NewLinear(i.In("fc"), 4, 4), nn.NewLinear(i.In("other"), 1<<20, 1<<20)), nil
	})
	if err != missing || strings.Join(asked, " ") != "fc.weight fc.bias other.weight" {
		t.Errorf("%v after %v", err, asked)
	}
	l := nn.NewLinear(i.In("fc"), 4, 4)
	for _, v := range l.Weight.Value.Float64s() {
		if v != 0 {
			t.Fatalf("%g was drawn", v)
		}
	}
	start := torch.LiveBytes()
	spare := nn.NewLinear(i.In("spare"), 1<<20, 1<<20)
	if n := torch.LiveBytes() - start; n > 1<<10 {
		t.Errorf("a spare layer has %d bytes", n)
	}
	nn.Free(nn.Params(l, spare))
	if torch.LiveTensors() != before || torch.LiveBytes() != bytes {
		t.Error("tensors are left")
	}
}
