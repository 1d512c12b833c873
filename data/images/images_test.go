package images

import (
	"bytes"
	"slices"
	"testing"

	"github.com/locus-learn/locus/data"
)

func TestHeadAndSelect(t *testing.T) {
	m := fakeImages(5, 3, data.Shape{C: 3, H: 2, W: 2})
	for n, want := range map[int]int{0: 5, 2: 2, 5: 5, 9: 5} {
		if h := limit(m, n); h.Len() != want || len(h.Pixels) != want*12 {
			t.Errorf("Head(%d) has %d labels and %d bytes", n, h.Len(), len(h.Pixels))
		}
	}
	got := m.at([]int{4, 0})
	if !bytes.Equal(got.Image(0), m.Image(4)) || !bytes.Equal(got.Image(1), m.Image(0)) || got.Labels[0] != m.Labels[4] {
		t.Errorf("got %v", got)
	}
}

func TestSplitIsAPartition(t *testing.T) {
	m := fakeImages(50, 50, data.Shape{C: 1, H: 1, W: 2}) // the label tells the image
	rest, taken := splitOff(m, 20, 1)
	if rest.Len() != 30 || taken.Len() != 20 {
		t.Fatalf("got %d and %d images", rest.Len(), taken.Len())
	}
	for _, part := range []Images{rest, taken} {
		if !slices.IsSorted(part.Labels) {
			t.Errorf("the order is lost: %v", part.Labels)
		}
		for i, label := range part.Labels {
			if !bytes.Equal(part.Image(i), m.Image(int(label))) {
				t.Errorf("image %d lost its label", label)
			}
		}
	}
	all := slices.Sorted(slices.Values(slices.Concat(rest.Labels, taken.Labels)))
	if !slices.Equal(all, m.Labels) {
		t.Errorf("the parts hold %v", all)
	}
	_, again := splitOff(m, 20, 1)
	_, other := splitOff(m, 20, 2)
	if !slices.Equal(again.Labels, taken.Labels) || slices.Equal(other.Labels, taken.Labels) {
		t.Error("the seed does not decide the split")
	}
}
