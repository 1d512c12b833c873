package dist

import (
	"bytes"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// What is accepted as a header comes back the same after writing, and asks for a bounded amount of memory.
func FuzzDecodeHeader(f *testing.F) {
	some, err := encodeHeader([]form{
		{none: true}, {dtype: torch.BFloat16, sizes: []int64{2, 3, 4, 5}, strides: []int64{60, 1, 15, 3}}, {dtype: torch.Int64},
		{dtype: torch.Float32, sizes: []int64{1, 3}, strides: []int64{7, 1}}, {dtype: torch.Uint8, sizes: []int64{0, 9}, strides: []int64{9, 1}},
	}, []byte("head"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(some)
	f.Add([]byte{0})
	f.Add([]byte{1, 0, 1, 255, 255, 255, 255, 255, 255, 255, 127, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		forms, head, err := decodeHeader(b)
		if err != nil {
			return
		}
		for _, form := range forms {
			if n := form.elements(); !form.none && (n < 0 || n*int64(form.dtype.Size()) > mostBytes) {
				t.Fatalf("a tensor of %d elements", n)
			}
		}
		again, err := encodeHeader(forms, head)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x: %v", b, again, err)
		}
	})
}

func TestPreamble(t *testing.T) {
	if n, err := headerLength(preamble(77)); n != 77 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, b := range [][]byte{nil, preamble(0), preamble(1 << 30), []byte("GET / HT"), make([]byte, preambleSize)} {
		if _, err := headerLength(b); err == nil {
			t.Errorf("%x was accepted", b)
		}
	}
}
