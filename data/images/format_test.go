package images

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
)

func TestDecodeIDX(t *testing.T) {
	good := idx([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2)
	badSum := gzipped(good)
	badSum[len(badSum)-8] ^= 1
	for _, tt := range []struct {
		name  string
		input []byte
		want  []string // parts of the fault; none if it decodes
	}{
		{"plain", good, nil},
		{"gzip", gzipped(good), nil},
		{"empty", nil, []string{"truncated: has 0 bytes", "header of 16"}},
		{"half a header", good[:9], []string{"truncated: has 9 bytes"}},
		{"magic", slices.Concat([]byte{0, 0, 9, 3}, good[4:]), []string{"starts with 00 00 09 03", "00 00 08 03"}},
		{"labels for images", idx([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 12), []string{"3 dimensions"}},
		{"no records", idx(nil, 0, 2, 2), []string{"promises 0 records", "1 to 5"}},
		{"more records than the set", idx(nil, 6, 2, 2), []string{"promises 6 records"}},
		{"huge promise", idx(nil, 1<<32-1, 2, 2), []string{"promises 4294967295 records"}},
		{"rows", idx(nil, 2, 3, 2), []string{"size 3 in dimension 2: must be 2"}},
		{"columns", idx(nil, 2, 2, 1<<31), []string{"dimension 3"}},
		{"truncated", good[:len(good)-1], []string{"truncated: has 23 bytes, expected 24"}},
		{"truncated gzip", gzipped(good)[:30], []string{"truncated"}},
		{"too long", append(bytes.Clone(good), 9), []string{"more than the 24 bytes"}},
		{"bomb", gzipped(append(bytes.Clone(good), make([]byte, 10<<20)...)), []string{"more than the 24 bytes"}},
		{"checksum", badSum, []string{"checksum"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := unzip(bytes.NewReader(tt.input))
			if err != nil {
				t.Fatal(err)
			}
			got, err := decodeIDX(iotest.OneByteReader(r), 5, 2, 2)
			if tt.want != nil {
				wantFault(t, err, tt.want...)
			} else if err != nil || !bytes.Equal(got, good[16:]) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func FuzzIDX(f *testing.F) {
	good := idx([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2)
	f.Add(good)
	f.Add(gzipped(good))
	f.Add(good[:20])
	f.Add(idx(nil, 1<<32-1, 2, 2))
	f.Fuzz(func(t *testing.T, input []byte) {
		r, err := unzip(bytes.NewReader(input))
		if err != nil {
			return
		}
		got, err := decodeIDX(r, 5, 2, 2)
		if err != nil {
			if !fault.Is(err) || got != nil {
				t.Fatalf("got %v with error %v", got, err)
			}
			return
		}
		if bytes.HasPrefix(input, []byte{0x1f, 0x8b}) {
			z, _ := gzip.NewReader(bytes.NewReader(input))
			input, _ = io.ReadAll(z)
		}
		if want := idx(got, len(got)/4, 2, 2); !bytes.Equal(input, want) {
			t.Fatalf("% x decodes to % x, which encodes to % x", input, got, want)
		}
	})
}

// tinyCIFAR is a set of 2 × 2 images with two label bytes and three classes.
var tinyCIFAR = &spec{name: "tiny", shape: data.Shape{C: 3, H: 2, W: 2}, classes: numbers(3), labels: 2}

func TestDecodeCIFAR(t *testing.T) {
	good := cifar(fakeImages(4, 3, tinyCIFAR.shape), 2)
	wrong := bytes.Clone(good)
	wrong[2*14+1] = 3
	for _, tt := range []struct {
		name  string
		input []byte
		want  []string
	}{
		{"whole", good, nil},
		{"subset", good[:28], nil},
		{"empty", nil, []string{"truncated: has 0 bytes", "whole records of 14, 70 in all"}},
		{"broken record", good[:43], []string{"truncated: has 43 bytes", "whole records of 14"}},
		{"label", wrong, []string{"record 2 has label 3: must be 0 to 2"}},
		{"too many", slices.Repeat(good, 2), []string{"more than 5 records"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := Images{Shape: tinyCIFAR.shape}
			err := tinyCIFAR.decodeCIFAR(iotest.HalfReader(bytes.NewReader(tt.input)), 5, &m)
			if tt.want != nil {
				wantFault(t, err, tt.want...)
				return
			}
			n := len(tt.input) / 14
			want := limit(fakeImages(4, 3, tinyCIFAR.shape), n)
			if err != nil || !bytes.Equal(m.Pixels, want.Pixels) || !slices.Equal(m.Labels, want.Labels) {
				t.Errorf("got %v, %v, want %v", m, err, want)
			}
		})
	}
}

func FuzzCIFAR(f *testing.F) {
	good := cifar(fakeImages(4, 3, tinyCIFAR.shape), 2)
	f.Add(good)
	f.Add(good[:20])
	f.Add(slices.Repeat(good, 2))
	f.Fuzz(func(t *testing.T, input []byte) {
		m := Images{Shape: tinyCIFAR.shape}
		err := tinyCIFAR.decodeCIFAR(bytes.NewReader(input), 5, &m)
		if len(m.Pixels) != m.Len()*12 || m.Len() > 5 {
			t.Fatalf("%d labels with %d bytes of pixels", m.Len(), len(m.Pixels))
		}
		again := cifar(m, 2)
		for i := 0; i < len(again); i += 14 {
			again[i] = input[i] // the coarse label is not kept
		}
		if !bytes.HasPrefix(input, again) {
			t.Fatalf("% x decodes to what encodes to % x", input, again)
		}
		if err == nil && len(again) != len(input) || err != nil && !fault.Is(err) {
			t.Fatalf("%d of %d bytes decoded with error %v", len(again), len(input), err)
		}
	})
}

func TestDecodeNames(t *testing.T) {
	got, err := decodeNames(strings.NewReader("cat\r\n\n maple tree \n\n"), 2)
	if err != nil || !slices.Equal(got, []string{"cat", "maple tree"}) {
		t.Errorf("got %q, %v", got, err)
	}
	for input, want := range map[string]string{
		"cat\n":              "has 1 names: must have 2",
		"a\nb\nc":            "more than 2 names",
		"a\nb\x1b[31m":       "names class 1",
		"\xff\nb":            "names class 0",
		"a" + blank(1<<17):   "cannot be read",
		"a\n" + lines(1<<17): "has 1 names",
	} {
		_, err := decodeNames(strings.NewReader(input), 2)
		wantFault(t, err, want)
	}
}

func blank(n int) string { return strings.Repeat(" ", n) }
func lines(n int) string { return strings.Repeat("\n", n) }

func FuzzNames(f *testing.F) {
	f.Add("cat\ndog\n")
	f.Add("cat\r\n\ndog")
	f.Add("a\xff\nb")
	f.Fuzz(func(t *testing.T, input string) {
		names, err := decodeNames(strings.NewReader(input), 2)
		if err != nil {
			return
		}
		if len(names) != 2 {
			t.Fatalf("%q has names %q", input, names)
		}
		again, err := decodeNames(strings.NewReader(strings.Join(names, "\n")), 2)
		if err != nil || !slices.Equal(again, names) {
			t.Fatalf("%q has names %q, which read as %q, %v", input, names, again, err)
		}
	})
}
