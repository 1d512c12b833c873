package picture

import (
	"bytes"
	"encoding/binary"
	"image"

	"github.com/locus-learn/locus/internal/fault"
)

// Limits on what a file may promise: a small one can name any size.
const (
	MaxPixels  = 64 << 20  // of a picture when it is decoded
	MaxPromise = 256 << 20 // of a JPEG that can be decoded smaller, row by row
	MaxSide    = 1<<16 - 1
)

// Header is what a file says of its picture before anything is decoded.
type Header struct {
	Format string // jpeg, png, webp or gif
	W, H   int    // as the picture is seen, after it was turned
	Orientation
	cmyk  bool // JPEG of four channels
	whole bool // JPEG that has to be held as a whole while it is decoded
}

// Shrink returns the part of its size, as 1/n, that a picture is to be decoded at where n = wanted would do: 1 for all formats
// but JPEG, and more than wanted where the picture would have more than MaxPixels. Both are 1, 2, 4 or 8.
func (h Header) Shrink(wanted int) int {
	if h.Format != "jpeg" {
		return 1
	}
	for wanted < 8 && h.W*h.H > wanted*wanted*MaxPixels {
		wanted *= 2
	}
	return wanted
}

// stored returns the size as the file has it, before the picture is turned.
func (h Header) stored() (w, ht int) {
	if h.Orientation.swaps() {
		return h.H, h.W
	}
	return h.W, h.H
}

// Known reports whether a file begins as one of a format that can be decoded.
func Known(file []byte) bool {
	for _, start := range []string{"\xff\xd8\xff", "\x89PNG", "GIF8"} {
		if bytes.HasPrefix(file, []byte(start)) {
			return true
		}
	}
	return len(file) >= 12 && string(file[:4]) == "RIFF" && string(file[8:12]) == "WEBP"
}

// Inspect reads the header of an image file. Its errors are faults that go on after the file's name.
func Inspect(file []byte) (Header, error) {
	var h Header
	var exif []byte
	if bytes.HasPrefix(file, []byte{0xff, 0xd8, 0xff}) {
		h.Format = "jpeg"
		exif = h.scanJPEG(file)
		if h.W == 0 && h.H == 0 {
			return Header{}, fault.New("is truncated or no JPEG: has no size")
		}
	} else {
		c, format, err := image.DecodeConfig(bytes.NewReader(file))
		if err != nil {
			return Header{}, fault.New("cannot be read: must be JPEG, PNG, WebP or GIF (%w)", err)
		}
		h = Header{Format: format, W: c.Width, H: c.Height}
		switch format {
		case "png":
			exif = chunk(file, 8, binary.BigEndian, true, "eXIf")
		case "webp":
			exif = chunk(file, 12, binary.LittleEndian, false, "EXIF")
		}
	}
	most := MaxPixels
	if h.Format == "jpeg" && !h.whole {
		most = MaxPromise
	}
	if h.W < 1 || h.H < 1 || h.W > MaxSide || h.H > MaxSide || h.W*h.H > most {
		return Header{}, fault.New("promises %d×%d pixels: must be at least 1×1, and at most %d in all", h.W, h.H, most)
	}
	h.Orientation = orientation(exif)
	if h.Orientation.swaps() {
		h.W, h.H = h.H, h.W
	}
	return h, nil
}

// scanJPEG goes through the segments before the picture: it notes its size and channels, and returns the Exif data.
func (h *Header) scanJPEG(file []byte) (exif []byte) {
	channels := 0
	for at := 2; at+4 <= len(file) && file[at] == 0xff; {
		marker := file[at+1]
		size := int(binary.BigEndian.Uint16(file[at+2:]))
		if marker == 0xff { // padding
			at++
			continue
		}
		if marker == 0xda { // the picture: in one go, or in parts that the decoder gathers
			h.whole = h.whole || len(file) > at+4 && int(file[at+4]) < channels
			return exif
		}
		if size < 2 || at+2+size > len(file) { // nonsense that the decoder complains about
			return exif
		}
		body := file[at+4 : at+2+size]
		switch {
		case marker == 0xe1 && exif == nil && bytes.HasPrefix(body, exifMark):
			exif = body
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc && len(body) > 5:
			h.H, h.W = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
			channels = int(body[5])
			h.cmyk, h.whole = channels == 4, marker&3 == 2
		}
		at += 2 + size
	}
	return exif
}

// chunk returns the body of the first chunk of a PNG or RIFF file with that name; the first chunk starts at byte at.
// In PNG the length goes before the name and a checksum behind the body; in RIFF the name goes first and bodies are even.
func chunk(file []byte, at int, order binary.ByteOrder, png bool, name string) []byte {
	for at+8 <= len(file) {
		nameAt, sizeAt := at, at+4
		if png {
			nameAt, sizeAt = at+4, at
		}
		size := int(order.Uint32(file[sizeAt:]))
		end := at + 8 + size
		if end > len(file) {
			return nil
		}
		if string(file[nameAt:nameAt+4]) == name {
			return file[at+8 : end]
		}
		if png {
			at = end + 4
		} else {
			at = end + size%2
		}
	}
	return nil
}
