package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"github.com/locus-learn/locus/internal/fault"
)

// Decoder decodes image files. It keeps its buffers between calls, and is for one goroutine at a time.
type Decoder struct {
	jpeg           turboHandle
	pix, cmyk, raw []byte
}

// Close frees what the decoder holds outside of Go's memory.
func (d *Decoder) Close() {
	if d.jpeg != 0 {
		d.jpeg.free()
		d.jpeg = 0
	}
}

// Decode returns the picture in a file upright and in RGB, whatever it is stored as; transparency is dropped. A JPEG is
// decoded at 1/shrink of its size, rounded up, which takes much less time; shrink is what [Header.Shrink] returned. Of what
// moves, the first picture is taken. The picture is on loan until the next call. Errors are faults that go on after the file's name.
func (d *Decoder) Decode(file []byte, h Header, shrink int) (Picture, error) {
	var p Picture
	var err error
	if h.Format == "jpeg" {
		p, err = d.decodeJPEG(file, h, shrink)
	} else {
		p, err = d.decodeOther(file, h)
	}
	if err != nil || h.Orientation <= 1 {
		return p, err
	}
	w, ht := p.W, p.H
	if h.Orientation.swaps() {
		w, ht = ht, w
	}
	up := Of(grow(&d.raw, w*ht*p.C), w, ht, p.C)
	h.Orientation.upright(up, p)
	return up, nil
}

func (d *Decoder) decodeJPEG(file []byte, h Header, shrink int) (Picture, error) {
	if d.jpeg == 0 {
		var err error
		if d.jpeg, err = newTurbo(); err != nil {
			return Picture{}, err
		}
	}
	w, ht := h.stored()
	w, ht = (w+shrink-1)/shrink, (ht+shrink-1)/shrink
	p := Of(grow(&d.pix, 3*w*ht), w, ht, 3)
	if !h.cmyk {
		return p, d.jpeg.decode(file, p.Pix, w, ht, formatRGB)
	}
	ink := grow(&d.cmyk, 4*w*ht)
	err := d.jpeg.decode(file, ink, w, ht, formatCMYK)
	fromCMYK(p.Pix, ink)
	return p, err
}

// fromCMYK multiplies what each ink lets through: without a colour profile nobody knows better. A value of 255 is no ink, as
// Adobe writes it, with its marker or without.
func fromCMYK(rgb, cmyk []byte) {
	for i := 0; i+3 <= len(rgb); i, cmyk = i+3, cmyk[4:] {
		for c := range 3 {
			rgb[i+c] = byte((int(cmyk[c])*int(cmyk[3]) + 127) / 255)
		}
	}
}

func (d *Decoder) decodeOther(file []byte, h Header) (Picture, error) {
	w, ht := h.stored()
	p := Of(grow(&d.pix, 3*w*ht), w, ht, 3)
	var err error
	switch h.Format {
	case "gif":
		err = decodeGIF(p, file)
	case "webp":
		err = decodeWebP(p, file)
	default:
		err = decodePNG(p, file)
	}
	if err != nil {
		return Picture{}, fault.New("cannot be decoded: %w", err)
	}
	return p, nil
}

func decodePNG(p Picture, file []byte) error {
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil { // perhaps only behind the picture, where others do not look
		again, errAgain := png.Decode(bytes.NewReader(endPNG(file)))
		if errAgain != nil {
			return err
		}
		img = again
	}
	return p.take(img)
}

// endPNG returns a PNG that ends properly behind its last bytes of picture.
func endPNG(file []byte) []byte {
	end := 0
	for at := 8; at+12 <= len(file); {
		size := int(binary.BigEndian.Uint32(file[at:]))
		next := at + 12 + size
		if next > len(file) {
			break
		}
		if string(file[at+4:at+8]) == "IDAT" {
			end = next
		} else if end > 0 {
			break
		}
		at = next
	}
	return append(file[:end:end], "\x00\x00\x00\x00IEND\xaeB`\x82"...)
}

// take copies img, which must have p's size.
func (p Picture) take(img image.Image) error {
	b := img.Bounds()
	if b.Dx() != p.W || b.Dy() != p.H {
		return fmt.Errorf("has %d×%d pixels where the header promises %d×%d", b.Dx(), b.Dy(), p.W, p.H)
	}
	for y := range p.H {
		readRow(p.row(y), img, b.Min.X, b.Min.Y+y)
	}
	return nil
}

// From returns the colours of an image, without its transparency.
func From(img image.Image) Picture {
	if m, ok := img.(*image.RGBA); ok && !m.Opaque() {
		img = struct{ image.Image }{m} // colours are multiplied by alpha, which takes the long way back
	}
	b := img.Bounds()
	p := New(b.Dx(), b.Dy(), 3)
	if err := p.take(img); err != nil {
		panic(err) // p was made in the image's size
	}
	return p
}

// readRow writes the row of img that starts at x, y to rgb. Colours are those without transparency.
func readRow(rgb []byte, img image.Image, x, y int) {
	n := len(rgb) / 3
	switch m := img.(type) {
	case *image.Gray:
		for i, v := range m.Pix[m.PixOffset(x, y):][:n] {
			rgb[3*i], rgb[3*i+1], rgb[3*i+2] = v, v, v
		}
	case *image.NRGBA:
		dropAlpha(rgb, m.Pix[m.PixOffset(x, y):])
	case *image.RGBA: // of a PNG without alpha
		dropAlpha(rgb, m.Pix[m.PixOffset(x, y):])
	case *image.NRGBA64: // its upper bytes, whatever alpha
		from := m.Pix[m.PixOffset(x, y):]
		for i := range n {
			rgb[3*i], rgb[3*i+1], rgb[3*i+2] = from[8*i], from[8*i+2], from[8*i+4]
		}
	case *image.YCbCr:
		yuvRow(rgb, m, x, y)
	case *image.NYCbCrA:
		yuvRow(rgb, &m.YCbCr, x, y)
	default: // 16 bits, palettes
		for i := range n {
			v := color.NRGBAModel.Convert(img.At(x+i, y)).(color.NRGBA)
			rgb[3*i], rgb[3*i+1], rgb[3*i+2] = v.R, v.G, v.B
		}
	}
}

func dropAlpha(rgb, rgba []byte) {
	for i := 0; i+3 <= len(rgb); i, rgba = i+3, rgba[4:] {
		rgb[i], rgb[i+1], rgb[i+2] = rgba[0], rgba[1], rgba[2]
	}
}

// yuvRow converts a row of a lossy WebP, whose luma is 16 to 235 (RFC 6386, section 9.2: ITU-R BT.601), where Go's
// colour model takes it for JPEG's 0 to 255. Colours between samples are weighed by distance, as in libwebp.
func yuvRow(rgb []byte, m *image.YCbCr, x, y int) {
	last := image.Pt((m.Rect.Dx()-1)/2, (m.Rect.Dy()-1)/2) // WebP halves colours both ways, and its pictures start at 0, 0
	cy := y / 2
	ny := max(0, min(last.Y, cy-1+y%2*2))
	for i := range len(rgb) / 3 {
		cx := (x + i) / 2
		nx := max(0, min(last.X, cx-1+(x+i)%2*2))
		a, b, c, d := cy*m.CStride+cx, cy*m.CStride+nx, ny*m.CStride+cx, ny*m.CStride+nx
		between := func(s []byte) int {
			return (9*int(s[a])+3*int(s[b])+3*int(s[c])+int(s[d])+8)>>4 - 128
		}
		u, v := between(m.Cb), between(m.Cr)
		luma := 76309 * (int(m.Y[y*m.YStride+x+i]) - 16) // 255/219 in 16 bits
		rgb[3*i] = clip16(luma + 104597*v)
		rgb[3*i+1] = clip16(luma - 25675*u - 53279*v)
		rgb[3*i+2] = clip16(luma + 132201*u)
	}
}

func clip16(v int) byte { return byte(max(0, min(255, (v+1<<15)>>16))) }
