package images

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
)

func TestFingerprint(t *testing.T) {
	inMemory := func() Images { return Images{Labels: []uint16{0, 1, 1}, Pixels: []byte{1, 2, 3, 4, 5, 6}} }
	inFiles := func() Images {
		files := []file{{name: "a/1.png", size: 10}, {name: "a/2.png", size: 20}, {name: "b/1.png", size: 30}}
		return Images{Labels: []uint16{0, 0, 1}, photos: &photos{files: files}}
	}
	for _, c := range []struct {
		name   string
		build  func() Images
		change func(*Images)
	}{
		{"a label", inMemory, func(m *Images) { m.Labels[0] = 1 }},
		{"a pixel", inMemory, func(m *Images) { m.Pixels[5] = 7 }},
		{"the order", inMemory, func(m *Images) { m.Pixels[2], m.Pixels[4] = 5, 3 }},
		{"the number", inMemory, func(m *Images) { m.Labels = m.Labels[:2] }},
		{"a label of a file", inFiles, func(m *Images) { m.Labels[1] = 1 }},
		{"a name", inFiles, func(m *Images) { m.photos.files[0].name = "a/0.png" }},
		{"a size", inFiles, func(m *Images) { m.photos.files[2].size++ }},
		{"the order of files", inFiles, func(m *Images) { f := m.photos.files; f[0], f[1] = f[1], f[0] }},
	} {
		m := c.build()
		want := m.Fingerprint()
		if got := c.build().Fingerprint(); got != want {
			t.Errorf("the same images have fingerprints %s and %s", got, want)
		}
		if c.change(&m); m.Fingerprint() == want {
			t.Errorf("%s has changed, the fingerprint has not", c.name)
		}
	}
}

// What lies on the disk has its size in the fingerprint, however it lies there. Runs from before sizes were stored go on.
func TestFingerprintOfFiles(t *testing.T) {
	isolate(t)
	of := func(set string, files map[string][]byte) data.Fingerprint {
		return data.FingerprintOf(openPhotos(t, photoOptions(set), writeFolder(t, files)).Source)
	}
	whole := photoFiles(t, 2)
	longer := maps.Clone(whole)
	name := slices.Sorted(maps.Keys(whole))[0]
	longer[name] = append(slices.Clone(longer[name]), 0)
	for _, set := range []string{"folder", "tar"} {
		a, b := whole, longer
		if set == "tar" {
			a, b = shards(t, whole), shards(t, longer)
		}
		was, is := of(set, a), of(set, b)
		if d := of(set, a).Differ(was); d != "" {
			t.Errorf("%s: the same files differ in %s", set, d)
		}
		if d := is.Differ(was); d != "training samples" {
			t.Errorf("%s: with a byte more in %s the files differ in %q", set, name, d)
		}
		was.Train, _, _ = strings.Cut(was.Train, "-")
		was.Test, _, _ = strings.Cut(was.Test, "-")
		if d := of(set, a).Differ(was); d != "" {
			t.Errorf("%s: the same files differ in %s from what an earlier version stored", set, d)
		}
	}
}
