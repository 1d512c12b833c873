package picture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// golden is testdata/golden.json, which golden.py makes with Pillow and torchvision, or formats.json of formats.py.
type golden struct {
	Inputs map[string]goldenPicture
	Cases  []struct {
		Op, On string
		Args   []float64
		Want   goldenPicture
	}
	Files     []goldenFile
	Evaluated goldenFile
}

type goldenFile struct {
	Name string
	File []byte
	Want goldenPicture
}

type goldenPicture struct {
	W, H, C int
	Pix     []byte
}

func (g goldenPicture) picture() Picture { return Of(bytes.Clone(g.Pix), g.W, g.H, g.C) }

func readGolden(t testing.TB, name string) (g golden) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// far returns the largest difference of two pictures' bytes, and how many of them differ.
func far(t *testing.T, got Picture, want goldenPicture) (most, differ int) {
	t.Helper()
	if got.W != want.W || got.H != want.H || got.C != want.C {
		t.Fatalf("got %d×%d×%d, want %d×%d×%d", got.W, got.H, got.C, want.W, want.H, want.C)
	}
	for i, v := range got.Pix {
		if d := max(v, want.Pix[i]) - min(v, want.Pix[i]); d > 0 {
			most, differ = max(most, int(d)), differ+1
		}
	}
	return most, differ
}

func apply(t *testing.T, op string, a []float64, p Picture) Picture {
	t.Helper()
	var r Resizer
	var s Smoother
	warp := func(m Affine) {
		from := New(p.W, p.H, p.C)
		copy(from.Pix, p.Pix)
		m.Warp(p, from)
	}
	switch op {
	case "bilinear", "bicubic":
		filter := map[string]Filter{"bilinear": Bilinear, "bicubic": Bicubic}[op]
		dst := New(int(a[0]), int(a[1]), p.C)
		r.Resize(dst, p, Box{a[2], a[3], a[4], a[5]}, filter)
		return dst
	case "resized_crop":
		dst := New(int(a[0]), int(a[1]), p.C)
		r.Resize(dst, p.Crop(int(a[2]), int(a[3]), int(a[4]), int(a[5])), Box{0, 0, a[4], a[5]}, Bilinear)
		return dst
	case "evaluate":
		dst := New(int(a[1]), int(a[1]), p.C)
		r.Resize(dst, p, Centre(p.W, p.H, int(a[0]), int(a[1]), int(a[1])), Bilinear)
		return dst
	case "brightness":
		p.Brightness(a[0])
	case "contrast":
		p.Contrast(a[0])
	case "saturation":
		p.Saturation(a[0])
	case "sharpness":
		s.Sharpness(p, a[0])
	case "hue":
		p.Hue(a[0])
	case "grey":
		p.Grey()
	case "blur":
		s.Blur(p, a[0])
	case "solarize":
		p.Solarize(int(a[0]))
	case "posterize":
		p.Posterize(int(a[0]))
	case "autocontrast":
		p.AutoContrast()
	case "equalize":
		p.Equalize()
	case "shear_x":
		warp(ShearX(a[0]))
	case "shear_y":
		warp(ShearY(a[0]))
	case "translate":
		warp(Translate(int(a[0]), int(a[1])))
	case "rotate":
		warp(p.Rotation(a[0]))
	case "flip":
		p.FlipH()
	default:
		t.Fatalf("no operation %q", op)
	}
	return p
}

// Every operation gives the bytes of Pillow or torchvision.
func TestGoldenOperations(t *testing.T) {
	g := readGolden(t, "golden.json")
	for _, c := range g.Cases {
		t.Run(fmt.Sprint(c.Op, c.Args, c.On), func(t *testing.T) {
			most, differ := far(t, apply(t, c.Op, c.Args, g.Inputs[c.On].picture()), c.Want)
			if most > 0 {
				t.Errorf("%d of %d bytes differ, by up to %d", differ, len(c.Want.Pix), most)
			}
		})
	}
}

// All files decode to Pillow's bytes; of a lossy WebP, whose colours libwebp rounds twice, some differ by 1.
func TestGoldenFiles(t *testing.T) {
	var d Decoder
	defer d.Close()
	for _, f := range append(readGolden(t, "golden.json").Files, readGolden(t, "formats.json").Files...) {
		t.Run(f.Name, func(t *testing.T) {
			h, err := Inspect(f.File)
			if err != nil {
				t.Fatal(err)
			}
			if h.W != f.Want.W || h.H != f.Want.H {
				t.Errorf("header says %d×%d, want %d×%d", h.W, h.H, f.Want.W, f.Want.H)
			}
			p, err := d.Decode(f.File, h, 1)
			if err != nil {
				t.Fatal(err)
			}
			allowed := 0
			if strings.HasPrefix(f.Name, "webp lossy") {
				allowed = 1
			}
			if most, differ := far(t, p, f.Want); most > allowed {
				t.Errorf("%d of %d bytes differ, by up to %d", differ, len(f.Want.Pix), most)
			}
		})
	}
}

// A large JPEG is evaluated with Pillow's bytes: decoded as a whole, then resized.
func TestGoldenEvaluation(t *testing.T) {
	g := readGolden(t, "formats.json").Evaluated
	p, err := decode(g.File, 1)
	if err != nil {
		t.Fatal(err)
	}
	var r Resizer
	dst := New(56, 56, 3)
	r.Resize(dst, p, Centre(p.W, p.H, 64, 56, 56), Bilinear)
	if most, differ := far(t, dst, g.Want); most > 0 {
		t.Errorf("%d of %d bytes differ, by up to %d", differ, len(g.Want.Pix), most)
	}
}
