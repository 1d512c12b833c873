package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"runtime"
	"testing"
)

// flatJPEG returns a grey JPEG of w × h pixels, in a file that grows by 6 bits for each block of 8 × 8.
func flatJPEG(t testing.TB, w, h int) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 8, 8))
	for i := range m.Pix {
		m.Pix[i] = 128
	}
	file := asJPEG(t, m)
	size := bytes.Index(file, []byte{0xff, 0xc0}) + 5
	binary.BigEndian.PutUint16(file[size:], uint16(h))
	binary.BigEndian.PutUint16(file[size+2:], uint16(w))
	scan := bytes.Index(file, []byte{0xff, 0xda})
	scan += 2 + int(binary.BigEndian.Uint16(file[scan+2:]))
	four := []byte{0x28, 0xa2, 0x8a} // 4 blocks whose value does not change, and that have nothing else
	blocks := (w + 7) / 8 * ((h + 7) / 8)
	return append(append(file[:scan:scan], bytes.Repeat(four, (blocks+3)/4)...), 0xff, 0xd9)
}

// A phone's 200 megapixels are decoded at half their size, in bounded memory.
func TestGiantJPEG(t *testing.T) {
	file := flatJPEG(t, 16320, 12240)
	h, err := Inspect(file)
	if err != nil || h.W != 16320 || h.H != 12240 {
		t.Fatalf("got %+v, %v", h, err)
	}
	for wanted, want := range map[int]int{1: 2, 2: 2, 4: 4, 8: 8} {
		if got := h.Shrink(wanted); got != want {
			t.Errorf("Shrink(%d) is %d, want %d", wanted, got, want)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var d Decoder
	defer d.Close()
	p, err := d.Decode(file, h, h.Shrink(1))
	if err != nil || p.W != 8160 || p.H != 6120 {
		t.Fatalf("got %d×%d, %v", p.W, p.H, err)
	}
	runtime.ReadMemStats(&after)
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(3*MaxPixels); got > most {
		t.Errorf("allocates %d bytes, want at most %d", got, most)
	}
	for _, at := range []int{0, len(p.Pix) / 2, len(p.Pix) - 1} {
		if p.Pix[at] != 128 {
			t.Errorf("byte %d is %d, want 128", at, p.Pix[at])
		}
	}
	small := flatJPEG(t, 640, 480)
	if h, err := Inspect(small); err != nil || h.Shrink(1) != 1 {
		t.Errorf("640×480: shrinks by %d, %v", h.Shrink(1), err)
	}
}

// What has to be held as a whole while it is decoded keeps the limit of what is not shrunk.
func TestGiantProgressiveJPEG(t *testing.T) {
	file := flatJPEG(t, 16320, 12240)
	file[bytes.Index(file, []byte{0xff, 0xc0})+1] = 0xc2
	if _, err := Inspect(file); err == nil {
		t.Error("a progressive JPEG of 200 megapixels is taken")
	}
}

// The frame of an animated WebP is untrusted, as is everything else in a file.
func TestAnimatedWebPIsChecked(t *testing.T) {
	for _, f := range readGolden(t, "formats.json").Files {
		if f.Name != "webp animated" {
			continue
		}
		frame := bytes.Index(f.File, []byte("ANMF")) + 8
		for name, change := range map[string]func([]byte) []byte{
			"leaves the canvas": func(b []byte) []byte { b[frame] = 200; return b },
			"another size":      func(b []byte) []byte { b[frame+6]--; return b },
			"no picture":        func(b []byte) []byte { copy(b[frame+16:], "XXXX"); return b },
		} {
			if _, err := decode(change(bytes.Clone(f.File)), 1); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
	}
}
