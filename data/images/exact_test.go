package images

import (
	"bytes"
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/picture"
)

// Evaluation and prediction decode a large JPEG as a whole, and training no larger than it needs.
func TestEvaluationIsExact(t *testing.T) {
	files := map[string][]byte{}
	for _, name := range []string{"train/a/0.jpg", "val/a/0.jpg"} {
		files[name] = encoded(t, name, photo(240, 180, 3))
	}
	o := photoOptions("folder")
	o.Batch = 1
	dir := writeFolder(t, files)
	set := openPhotos(t, o, dir)

	var d picture.Decoder
	defer d.Close()
	var r picture.Resizer
	want := func(shrink int) []byte {
		h, err := picture.Inspect(files["val/a/0.jpg"])
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.Decode(files["val/a/0.jpg"], h, shrink)
		if err != nil {
			t.Fatal(err)
		}
		dst := picture.New(24, 24, 3)
		r.Resize(dst, p, picture.Centre(240, 180, 28, 24, 24).Over(float64(shrink)), picture.Bilinear)
		return dst.Pix
	}
	read, err := Read(o, dir+"/val/a/0.jpg", data.Shape{C: 3, H: 24, W: 24})
	if err != nil || !bytes.Equal(read, want(1)) {
		t.Errorf("a prediction reads other pixels (%v)", err)
	}
	for name, tt := range map[string]struct {
		o      data.BatchOptions
		shrink int
	}{"evaluation": {data.BatchOptions{Batch: 1}, 1}, "training": {data.BatchOptions{Batch: 1, Augment: true}, 4}} {
		b, err := set.Test.loader(tt.o).Next(t.Context())
		if err != nil || !bytes.Equal(b.Bytes, want(tt.shrink)) {
			t.Errorf("%s has other pixels (%v)", name, err)
		}
	}
}

// BenchmarkCentre measures what exact evaluation of a photograph of 12 megapixels costs.
func BenchmarkCentre(b *testing.B) {
	file := encoded(b, "x.jpg", photo(4000, 3000, 1))
	for name, exact := range map[string]bool{"exact": true, "shrunk": false} {
		b.Run(name, func(b *testing.B) {
			var l reader
			defer l.close()
			dst := picture.New(224, 224, 3)
			for b.Loop() {
				var err error
				l.file = file
				if l.header, err = picture.Inspect(file); err == nil {
					err = l.centre(dst, 4000, 3000, 256, exact)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
