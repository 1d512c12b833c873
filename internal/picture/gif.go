package picture

import (
	"bytes"
	"errors"
	"image"
	"image/gif"
)

// decodeGIF writes the first picture of a GIF to p, which has the size of the screen. Around a smaller picture it is in the
// colour that is transparent, or the first one. What is transparent keeps its colour.
func decodeGIF(p Picture, file []byte) error {
	img, err := gif.Decode(bytes.NewReader(file))
	if err != nil {
		return err
	}
	m, ok := img.(*image.Paletted)
	colours, transparent, found := gifPalette(file)
	if !ok || !found || !m.Rect.In(image.Rect(0, 0, p.W, p.H)) {
		return errors.New("gif: its first picture has no palette, or leaves the screen")
	}
	p.Fill(0, 0, p.W, p.H, colours[transparent][:])
	for y := range m.Rect.Dy() {
		out := p.row(m.Rect.Min.Y + y)[3*m.Rect.Min.X:]
		for x, index := range m.Pix[y*m.Stride:][:m.Rect.Dx()] {
			copy(out[3*x:3*x+3], colours[index][:])
		}
	}
	return nil
}

// gifPalette reads the colours of the first picture, of which Go's decoder forgets the transparent one. Colours that the file
// does not have are black.
func gifPalette(file []byte) (colours [256][3]byte, transparent int, found bool) {
	read := func(at int, flags byte) int {
		n := 2 << (flags & 7)
		if flags&0x80 == 0 || at+3*n > len(file) {
			return at
		}
		colours = [256][3]byte{}
		for i := range n {
			copy(colours[i][:], file[at+3*i:])
		}
		found = true
		return at + 3*n
	}
	if len(file) < 13 {
		return colours, 0, false
	}
	for at := read(13, file[10]); at+10 <= len(file); {
		switch file[at] {
		case 0x21: // an extension
			if file[at+1] == 0xf9 && file[at+3]&1 != 0 {
				transparent = int(file[at+6])
			}
			for at += 2; at < len(file) && file[at] != 0; {
				at += 1 + int(file[at])
			}
			at++
		case 0x2c: // a picture
			read(at+10, file[at+9])
			return colours, transparent, found
		default:
			return colours, 0, false
		}
	}
	return colours, 0, false
}
