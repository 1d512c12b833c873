package images

import "testing"

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
