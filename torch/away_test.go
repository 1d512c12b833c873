package torch

import (
	"bytes"
	"errors"
	"testing"
)

// Elements are told where they lie, without a copy, unless they lie in another order. A view that begins elsewhere tells its own.
func TestElementsAreCopiedOnlyWhereTheyMust(t *testing.T) {
	defer Pin()()
	s := CPU.Scope(NoGrad)
	defer s.Close()
	flat := s.FromFloats([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 1, 2, 2, 2)
	for _, tt := range []struct {
		name   string
		t      Tensor
		copied bool
	}{
		{"contiguous", flat, false},
		{"channels-last", s.ChannelsLast(flat), true},
		{"none", s.Full(Float32, 0, 0, 3), false},
		{"a number", s.Full(Float64, 3), false},
		{"whole numbers", s.FromInts([]int64{1, -2}), false},
	} {
		var buffer []byte
		got := tt.t.Elements(&buffer)
		if want := tt.t.Data(); !bytes.Equal(got, want) {
			t.Errorf("%s: %v, want %v", tt.name, got, want)
		}
		if !tt.copied && buffer != nil {
			t.Errorf("%s: was copied", tt.name)
		}
	}
	var buffer []byte
	last := s.ChannelsLast(flat)
	first := last.Elements(&buffer)
	if second := last.Elements(&buffer); &first[0] != &second[0] {
		t.Error("a buffer that is large enough was replaced")
	}
}

// What is away comes back with the elements that were read, in the layout that Full gives its shape; without them it stays away.
func TestReturnFromReads(t *testing.T) {
	defer Pin()()
	for _, shape := range [][]int64{{}, {0}, {6}, {2, 3}, {2, 3, 2, 2}} {
		s := CPU.Scope(NoGrad)
		like := s.Full(Float32, 0, shape...)
		like.Uniform(-1, 1, 7)
		data := like.Data()
		away := CPU.Away(Float32, shape...)
		var buffer []byte
		broken := errors.New("the disk is broken")
		if err := away.ReturnFrom(func([]byte) error { return broken }, &buffer, true); err != broken || !away.IsAway() {
			t.Errorf("%v: %v, away %v", shape, err, away.IsAway())
		}
		err := away.ReturnFrom(func(elements []byte) error {
			if len(elements) != len(data) {
				t.Errorf("%v: room for %d bytes, want %d", shape, len(elements), len(data))
			}
			copy(elements, data)
			return nil
		}, &buffer, true)
		if err != nil || away.IsAway() || !away.Equal(like) {
			t.Errorf("%v: %v, away %v", shape, err, away.IsAway())
		}
		if got, want := away.Elements(new([]byte)), like.Elements(new([]byte)); !bytes.Equal(got, want) {
			t.Errorf("%v: %v, want %v", shape, got, want)
		}
		away.Free()
		s.Close()
	}
}
