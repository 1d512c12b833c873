package data

import (
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/picture"
)

// lens reads, decodes and scales the images of one goroutine. The zero value is ready; close frees it.
type lens struct {
	file    []byte
	header  picture.Header
	decoder picture.Decoder
	resizer picture.Resizer
}

func (l *lens) close() { l.decoder.Close() }

// focus reads image i of p and returns its size.
func (l *lens) focus(p *photos, i int) (w, h int, err error) {
	if l.file, err = p.read(i, l.file); err != nil {
		return 0, 0, err
	}
	l.header, err = picture.Inspect(l.file)
	return l.header.W, l.header.H, err
}

// expose decodes the image in focus, if the format allows at 1/shrink of its size; it returns the shrink that was used.
func (l *lens) expose(shrink int) (picture.Picture, int, error) {
	if !l.header.Shrinks() {
		shrink = 1
	}
	p, err := l.decoder.Decode(l.file, l.header, shrink)
	return p, shrink, err
}

// centre fills dst with the centre of the w × h image in focus, whose shorter side is scaled to short.
func (l *lens) centre(dst picture.Picture, w, h, short int) error {
	p, shrink, err := l.expose(shrinkFor(w, h, Shape{H: short, W: short}))
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
func (o Options) Read(path string, shape Shape) ([]byte, error) {
	if shape.C != 1 && shape.C != 3 {
		return nil, fault.New("images have %d channels: only those of 1 or 3 can be read from files", shape.C)
	}
	var l lens
	defer l.close()
	w, h, err := l.focus(&photos{files: []file{{name: path, shard: standalone}}}, 0)
	colours := picture.New(shape.W, shape.H, 3)
	if err == nil {
		err = l.centre(colours, w, h, o.shorterFor(shape))
	}
	if err != nil {
		return nil, fault.New("%s %w", path, err)
	}
	if shape.C == 1 {
		return colours.Luma(), nil
	}
	return colours.Pix, nil
}
