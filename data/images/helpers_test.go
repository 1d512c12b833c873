package images

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
)

// isolate hides the sets that the machine has.
func isolate(t *testing.T) {
	t.Helper()
	t.Setenv(data.EnvDir, "")
	old := shareDirs
	shareDirs = []string{t.TempDir()}
	t.Cleanup(func() { shareDirs = old })
}

// options returns valid options for a set of at least one image.
func options(set string) data.Options {
	return data.Options{
		Set: set, Batch: 1, Augment: data.AugmentNone, Shuffle: true, Workers: 2, Broken: 0.01, Flip: 0.5,
		Crop: data.CropOptions{Scale: []float64{0.08, 1}, Ratio: []float64{0.75, 4.0 / 3}},
	}
}

// fakeImages returns n images whose bytes and labels are told by their position.
func fakeImages(n, classes int, s data.Shape) Images {
	m := Images{Shape: s, Pixels: make([]byte, n*s.Size()), Labels: make([]uint16, n)}
	for i := range m.Labels {
		m.Labels[i] = uint16(i % classes)
	}
	for i := range m.Pixels {
		m.Pixels[i] = byte(i*7 + i/s.Size()*31)
	}
	return m
}

// writeSet writes a small set as its publishers do and returns its folder.
func writeSet(t *testing.T, name string, train, test int) string {
	t.Helper()
	s, ok := lookup(name)
	if !ok {
		t.Fatal("no set " + name)
	}
	dir := t.TempDir()
	for part, n := range map[*split]int{&s.train: train, &s.test: test} {
		if s.labels == 0 {
			m := fakeImages(n, len(s.classes), s.shape)
			write(t, dir, part.files[0], idx(m.Pixels, n, s.shape.H, s.shape.W))
			write(t, dir, part.files[1], idx(bytesOf(m.Labels), n))
			continue
		}
		for _, file := range part.files {
			write(t, dir, file, cifar(fakeImages(n, len(s.classes), s.shape), s.labels))
		}
	}
	return dir
}

func write(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// idx encodes values as an IDX file of unsigned bytes.
func idx(values []byte, dims ...int) []byte {
	out := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		out = binary.BigEndian.AppendUint32(out, uint32(d))
	}
	return append(out, values...)
}

// cifar encodes images as records of label bytes, then planes.
func cifar(m Images, labels int) []byte {
	var out []byte
	for i, label := range m.Labels {
		out = append(out, slices.Repeat([]byte{99}, labels-1)...) // a coarse label must be ignored
		out = append(out, byte(label))
		for c := range m.Shape.C {
			for p := range m.Shape.H * m.Shape.W {
				out = append(out, m.Image(i)[p*m.Shape.C+c])
			}
		}
	}
	return out
}

func bytesOf(labels []uint16) []byte {
	var out []byte
	for _, label := range labels {
		out = append(out, byte(label))
	}
	return out
}

func gzipped(content []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(content) // a bytes.Buffer takes everything
	w.Close()
	return buf.Bytes()
}

// wantFault checks that err is a fault of one line that holds each of parts.
func wantFault(t *testing.T, err error, parts ...string) {
	t.Helper()
	if !fault.Is(err) {
		t.Fatalf("got error %v, want a fault", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not mention %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q has more than one line", err)
	}
}

// loaderOptions are those of batches, and how training changes images.
type loaderOptions struct {
	Batch, Workers, Views, Epoch, Start int
	Transform                           Transform
	Shuffle, KeepLast                   bool
	Seed                                uint64
}

func newLoader(s data.Samples, o loaderOptions) *data.Loader {
	m := s.(Images)
	m.change = o.Transform
	return m.loader(data.BatchOptions{
		Batch: o.Batch, Workers: o.Workers, Views: o.Views, Epoch: o.Epoch, Start: o.Start, Augment: true,
		Shuffle: o.Shuffle, KeepLast: o.KeepLast, Seed: o.Seed,
	})
}

// testSet is an open set and its parts.
type testSet struct {
	data.Source
	data.Info
	Train, Validation, Test Images
}

func openSet(o data.Options, root uint64, dirs []string) (*testSet, error) {
	s, err := data.Open(o, root, dirs)
	if err != nil {
		return nil, err
	}
	images := func(part data.Part) Images { return s.Part(part).(Images) }
	return &testSet{s, s.Info(), images(data.Train), images(data.Validation), images(data.Test)}, nil
}

func limit(m Images, n int) Images { return data.Limit(m, n).(Images) }

func splitOff(m Images, n int, root uint64) (rest, taken Images) {
	a, b := data.Split(m, n, root)
	return a.(Images), b.(Images)
}
