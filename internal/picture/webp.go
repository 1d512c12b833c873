package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"

	"golang.org/x/image/webp"
)

// decodeWebP writes a WebP, or the first picture of one that moves, to p, which has the size of the canvas. Around a smaller
// picture it is black.
func decodeWebP(p Picture, file []byte) error {
	frame := chunk(file, 12, binary.LittleEndian, false, "ANMF")
	if frame == nil {
		img, err := webp.Decode(bytes.NewReader(file))
		if err != nil {
			return err
		}
		return p.take(img)
	}
	if len(frame) < 24 {
		return errors.New("webp: its first picture is truncated")
	}
	number := func(at int) int { return int(frame[at]) | int(frame[at+1])<<8 | int(frame[at+2])<<16 }
	x, y, w, h := 2*number(0), 2*number(3), 1+number(6), 1+number(9)
	if !image.Rect(x, y, x+w, y+h).In(image.Rect(0, 0, p.W, p.H)) {
		return errors.New("webp: its first picture leaves the canvas")
	}
	img, err := webp.Decode(bytes.NewReader(still(frame)))
	if err != nil {
		return err
	}
	p.Fill(0, 0, p.W, p.H, make([]byte, p.C))
	return p.Crop(x, y, w, h).take(img)
}

// still makes a file of one picture of an animation: a frame's size, position and flags, then its chunks.
func still(frame []byte) []byte {
	const positions, sizes, header = 6, 6, 16
	var body []byte
	if string(frame[header:header+4]) == "ALPH" {
		body = append(body, "VP8X\x0a\x00\x00\x00\x10\x00\x00\x00"...) // which says that there is alpha
		body = append(body, frame[positions:positions+sizes]...)
	}
	body = append(body, frame[header:]...)
	out := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(body)))
	return append(append(out, "WEBP"...), body...)
}
