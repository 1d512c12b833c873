package picture

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
)

// slope returns a picture without edges, which a JPEG keeps well.
func slope(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetNRGBA(x, y, color.NRGBA{byte(255 * x / w), byte(255 * y / h), 128, 255})
		}
	}
	return m
}

func asJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// decode does what a user of the package does with a file.
func decode(file []byte, shrink int) (Picture, error) {
	h, err := Inspect(file)
	if err != nil {
		return Picture{}, err
	}
	var d Decoder
	defer d.Close()
	return d.Decode(file, h, shrink)
}

// A JPEG that is decoded smaller looks like the whole one made smaller.
func TestShrinkOnLoad(t *testing.T) {
	file := asJPEG(t, slope(203, 150))
	for _, shrink := range []int{1, 2, 4, 8} {
		p, err := decode(file, shrink)
		if err != nil {
			t.Fatal(err)
		}
		if w, h := (203+shrink-1)/shrink, (150+shrink-1)/shrink; p.W != w || p.H != h {
			t.Errorf("1/%d is %d×%d, want %d×%d", shrink, p.W, p.H, w, h)
		}
		for y := range p.H {
			for x := range p.W {
				at := p.row(y)[3*x:]
				wantR, wantG := 255*(float64(x)+0.5)*float64(shrink)/203, 255*(float64(y)+0.5)*float64(shrink)/150
				if math.Abs(float64(at[0])-wantR) > 8 || math.Abs(float64(at[1])-wantG) > 8 {
					t.Fatalf("1/%d at %d, %d is %v, want about %.0f, %.0f", shrink, x, y, at[:3], wantR, wantG)
				}
			}
		}
	}
}

// A 16-bit PNG keeps the upper byte of its values; a big-endian Exif turns as a little-endian one does.
func TestDecodeSixteenBits(t *testing.T) {
	m := image.NewNRGBA64(image.Rect(0, 0, 2, 1))
	m.SetNRGBA64(1, 0, color.NRGBA64{0x1234, 0xff00, 0x00ff, 0xffff})
	p, err := decode(asPNG(t, m), 1)
	if err != nil || !bytes.Equal(p.Pix[3:6], []byte{0x12, 0xff, 0}) {
		t.Errorf("got %v, %v", p.Pix, err)
	}
	for _, exif := range []string{"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00",
		"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"} {
		if o := orientation([]byte(exif)); o != 6 {
			t.Errorf("%q means %d, want 6", exif, o)
		}
		for n := range exif {
			if o := orientation([]byte(exif[:n])); n < 22 && o != 1 {
				t.Errorf("%q means %d, want 1", exif[:n], o)
			}
		}
	}
}

// Without the library the message says how to get it.
func TestLibraryIsMissing(t *testing.T) {
	err := loadTurbo("libnone.so.0", "libnone.so")
	if !fault.Is(err) || !strings.Contains(err.Error(), "apt-get install libturbojpeg0-dev (looked for libnone.so.0, libnone.so)") {
		t.Errorf("got %v", err)
	}
}

// pngOf returns a PNG that promises a size, with as little data as a bomb has.
func pngOf(w, h uint32) []byte {
	head := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	head = append(binary.BigEndian.AppendUint32(head, h), 8, 2, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), head...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(head))
}

func TestRefused(t *testing.T) {
	whole := asJPEG(t, slope(64, 48))
	resized := func(w, h int) []byte { // the same with another size in its header
		b := bytes.Clone(whole)
		at := bytes.Index(b, []byte{0xff, 0xc0})
		binary.BigEndian.PutUint16(b[at+5:], uint16(h))
		binary.BigEndian.PutUint16(b[at+7:], uint16(w))
		return b
	}
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "cannot be read"},
		{"text", []byte("no picture at all"), "must be JPEG, PNG, WebP or GIF"},
		{"JPEG without its picture", whole[:len(whole)/2], "cannot be decoded"},
		{"half a JPEG", whole[:len(whole)*3/4], "truncated"},
		{"damaged JPEG", append(bytes.Clone(whole[:700]), whole[760:]...), "JPEG data"},
		{"JPEG without its end", whole[:len(whole)-20], "truncated"},
		{"start of a JPEG", whole[:30], "truncated"},
		{"half a PNG", asPNG(t, slope(64, 48))[:120], "cannot be decoded"},
		{"PNG bomb", pngOf(60_000, 60_000), "promises 60000×60000 pixels"},
		{"PNG side", pngOf(1<<17, 1), "promises 131072×1 pixels"},
		{"JPEG bomb", resized(65_500, 65_500), "promises 65500×65500 pixels"},
		{"JPEG without width", resized(0, 48), "promises 0×48 pixels"},
		{"JPEG that promises more", resized(64, 4800), "truncated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decode(tt.file, 1)
			if !fault.Is(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a fault with %q", err, tt.want)
			}
		})
	}
}

// Whatever is decoded has the size that its header said, and what is refused is refused with a fault.
func FuzzDecode(f *testing.F) {
	for _, file := range append(readGolden(f, "golden.json").Files, readGolden(f, "formats.json").Files...) {
		f.Add(file.File, byte(0))
	}
	f.Add(pngOf(60_000, 60_000), byte(3))
	f.Add(asJPEG(f, slope(64, 48))[:900], byte(1))
	f.Fuzz(func(t *testing.T, file []byte, scale byte) {
		h, err := Inspect(file)
		if err != nil {
			if !fault.Is(err) {
				t.Fatalf("refused with %v, which is no fault", err)
			}
			return
		}
		if h.W*h.H > 1<<20 {
			return // allowed, but slow to try a million times
		}
		var d Decoder
		defer d.Close()
		shrink := 1 << (scale % 4)
		p, err := d.Decode(file, h, shrink)
		if err != nil {
			if !fault.Is(err) {
				t.Fatalf("refused with %v, which is no fault", err)
			}
			return
		}
		if h.Format != "jpeg" {
			shrink = 1
		}
		if w, ht := (h.W+shrink-1)/shrink, (h.H+shrink-1)/shrink; p.W != w || p.H != ht || p.C != 3 || len(p.Pix) != 3*w*ht {
			t.Fatalf("%s of %d×%d at 1/%d decodes to %d×%d×%d with %d bytes", h.Format, h.W, h.H, shrink, p.W, p.H, p.C, len(p.Pix))
		}
	})
}

func BenchmarkResize(b *testing.B) {
	var r Resizer
	src, dst := New(224, 224, 3), New(224, 224, 3)
	for _, tt := range []struct {
		name string
		box  Box
	}{{"larger", Box{30, 30, 190, 180}}, {"same", Box{0, 0, 224, 224}}, {"smaller", Box{0, 0, 224, 224}}} {
		out := dst
		if tt.name == "smaller" {
			out = New(96, 96, 3)
		}
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				r.Resize(out, src, tt.box, Bilinear)
			}
		})
	}
}
