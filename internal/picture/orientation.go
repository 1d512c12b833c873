package picture

import (
	"bytes"
	"encoding/binary"
)

// Orientation says how a stored picture is turned to be seen upright: Exif's tag 0x0112, from 1; 0 stands for 1.
type Orientation uint8

// swaps reports whether rows become columns.
func (o Orientation) swaps() bool { return o >= 5 }

// exifMark begins Exif data in JPEG, and in some files of other formats.
var exifMark = []byte("Exif\x00\x00")

// orientation finds the tag in Exif data, a TIFF header and its first directory; 1 where there is none that makes sense.
func orientation(exif []byte) Orientation {
	const tag, short = 0x0112, 3
	exif = bytes.TrimPrefix(exif, exifMark)
	if len(exif) < 8 {
		return 1
	}
	var order binary.ByteOrder
	switch string(exif[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	at := int64(order.Uint32(exif[4:]))
	if at+2 > int64(len(exif)) {
		return 1
	}
	entries := exif[at+2:]
	for range order.Uint16(exif[at:]) {
		if len(entries) < 12 {
			return 1
		}
		if order.Uint16(entries) == tag && order.Uint16(entries[2:]) == short {
			if v := order.Uint16(entries[8:]); v >= 1 && v <= 8 {
				return Orientation(v)
			}
			return 1
		}
		entries = entries[12:]
	}
	return 1
}

// upright writes src, as it is stored, to dst, as it is seen. dst has the turned size.
func (o Orientation) upright(dst, src Picture) {
	for y := range dst.H {
		out := dst.row(y)
		for x := range dst.W {
			sx, sy := x, y
			if o.swaps() {
				sx, sy = y, x
			}
			if o == 2 || o == 3 || o == 7 || o == 8 { // from the right
				sx = src.W - 1 - sx
			}
			if o == 3 || o == 4 || o == 6 || o == 7 { // from below
				sy = src.H - 1 - sy
			}
			copy(out[x*dst.C:][:dst.C], src.Pix[sy*src.Stride+sx*src.C:])
		}
	}
}
