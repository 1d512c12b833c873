package images

import (
	"image"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/picture"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/internal/sniff"
)

// reader reads, decodes and scales the images of one goroutine. The zero value is ready; close frees it.
type reader struct {
	file    []byte
	header  picture.Header
	decoder picture.Decoder
	resizer picture.Resizer
}

func (l *reader) close() { l.decoder.Close() }

// load reads image i of p and returns its size.
func (l *reader) load(p *photos, i int) (w, h int, err error) {
	if l.file, err = p.read(i, l.file); err != nil {
		return 0, 0, err
	}
	return l.inspect()
}

// inspect reads the header of the file that is there, and returns the picture's size.
func (l *reader) inspect() (w, h int, err error) {
	if l.header, err = picture.Inspect(l.file); err != nil {
		if what := sniff.What(l.file); what != "" && !picture.Known(l.file) {
			err = fault.New("%s", what)
		}
	}
	return l.header.W, l.header.H, err
}

// decode decodes the image that was loaded, if the format allows at 1/shrink of its size; it returns the shrink that was used.
func (l *reader) decode(shrink int) (picture.Picture, int, error) {
	shrink = l.header.Shrink(shrink)
	p, err := l.decoder.Decode(l.file, l.header, shrink)
	return p, shrink, err
}

// centre fills dst with the centre of the w × h image that was loaded, whose shorter side is scaled to short. If exact, all of
// the image is decoded, as Pillow does; otherwise a JPEG no larger than it needs, which is faster and differs a little.
func (l *reader) centre(dst picture.Picture, w, h, short int, exact bool) error {
	shrink := 1
	if !exact {
		shrink = shrinkFor(w, h, data.Shape{H: short, W: short})
	}
	p, shrink, err := l.decode(shrink)
	if err != nil {
		return err
	}
	box := picture.Centre(w, h, short, dst.W, dst.H).Over(float64(shrink))
	l.resizer.Resize(dst, p, box, picture.Bilinear)
	return nil
}

// JPEG says whether JPEG can be decoded here: it loads the library for it. Its error is a fault that says how to get it.
func JPEG() error { return picture.JPEG() }

// Read returns the pixels [shape.H, shape.W, shape.C] of a JPEG, PNG, WebP or GIF file as evaluation has those of the set:
// the centre, of which an image folder leaves away the margin between its resize and size. Faults start with the path.
func Read(o data.Options, path string, shape data.Shape) ([]byte, error) {
	if err := checkShape(shape); err != nil {
		return nil, err
	}
	var l reader
	defer l.close()
	w, h, err := l.load(&photos{files: []file{{name: path, shard: standalone}}}, 0)
	var pixels []byte
	if err == nil {
		pixels, err = l.evaluated(o, w, h, shape)
	}
	if err != nil {
		return nil, fault.New("%s %w", show.Name(path), err)
	}
	return pixels, nil
}

// Decode is [Read] of a file in memory, of a picture of at most so many pixels. Its faults go on after the picture's name.
func Decode(o data.Options, file []byte, most int, shape data.Shape) ([]byte, error) {
	if err := checkShape(shape); err != nil {
		return nil, err
	}
	l := reader{file: file}
	defer l.close()
	w, h, err := l.inspect()
	if err != nil {
		return nil, err
	}
	if w*h > most {
		return nil, fault.New("has %d×%d pixels: must have at most %d in all", w, h, most)
	}
	return l.evaluated(o, w, h, shape)
}

// Convert is [Read] of a picture that is decoded already. Transparency is dropped.
func Convert(o data.Options, img image.Image, shape data.Shape) ([]byte, error) {
	if err := checkShape(shape); err != nil {
		return nil, err
	}
	if b := img.Bounds(); b.Dx() < 1 || b.Dy() < 1 || b.Dx() > picture.MaxSide || b.Dy() > picture.MaxSide || b.Dx()*b.Dy() > picture.MaxPixels {
		return nil, fault.New("an image has %d×%d pixels: must have at least 1×1, and at most %d in all", b.Dx(), b.Dy(), picture.MaxPixels)
	}
	p := picture.From(img)
	var resizer picture.Resizer
	colours := picture.New(shape.W, shape.H, 3)
	resizer.Resize(colours, p, picture.Centre(p.W, p.H, shorterFor(o, shape), shape.W, shape.H), picture.Bilinear)
	return channels(colours, shape), nil
}

func checkShape(shape data.Shape) error {
	if shape.C != 1 && shape.C != 3 || shape.H < 1 || shape.W < 1 {
		return fault.New("samples have shape %v: only images of 1 or 3 channels can be read from pictures", shape)
	}
	return nil
}

// evaluated returns the picture that was loaded, of w × h pixels, as evaluation has it.
func (l *reader) evaluated(o data.Options, w, h int, shape data.Shape) ([]byte, error) {
	colours := picture.New(shape.W, shape.H, 3)
	if err := l.centre(colours, w, h, shorterFor(o, shape), true); err != nil {
		return nil, err
	}
	return channels(colours, shape), nil
}

// channels returns the bytes of a coloured picture, or of its grey where one channel is wanted.
func channels(colours picture.Picture, shape data.Shape) []byte {
	if shape.C == 1 {
		return colours.Luma()
	}
	return colours.Pix
}
