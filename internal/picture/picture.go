// Package picture decodes photographs and changes them: it crops, scales, turns, blurs and recolours bytes.
//
// Operations that Pillow has too give Pillow's results, to the tolerance that the golden test states, so that published
// augmentations mean the same here. Nothing draws random numbers: factors and positions are arguments.
package picture

// Picture is H rows of W pixels of C bytes; a row starts Stride bytes behind the one before it.
type Picture struct {
	Pix             []byte
	W, H, C, Stride int
}

// New returns a black picture.
func New(w, h, c int) Picture { return Of(make([]byte, w*h*c), w, h, c) }

// Of makes a picture of w × h × c bytes without a copy.
func Of(pix []byte, w, h, c int) Picture { return Picture{pix[:w*h*c], w, h, c, w * c} }

// Crop returns the part of p that starts at x, y. The bytes are shared.
func (p Picture) Crop(x, y, w, h int) Picture {
	p.Pix = p.Pix[y*p.Stride+x*p.C:]
	p.W, p.H = w, h
	return p
}

// row returns the bytes of row y.
func (p Picture) row(y int) []byte { return p.Pix[y*p.Stride:][:p.W*p.C] }

// grow returns a slice of n elements, with buf's memory if that is enough. What the elements hold is not defined.
func grow[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, n)
	}
	return (*buf)[:n]
}
