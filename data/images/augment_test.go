package images

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/locus-learn/locus/data"
)

// at returns byte c of the pixel at y, x, or 0 outside of the image.
func at(image []byte, s data.Shape, y, x, c int) byte {
	if y < 0 || y >= s.H || x < 0 || x >= s.W {
		return 0
	}
	return image[(y*s.W+x)*s.C+c]
}

func TestCropAndMirror(t *testing.T) {
	for _, s := range []data.Shape{{C: 1, H: 28, W: 28}, {C: 3, H: 32, W: 32}, {C: 3, H: 5, W: 7}, {C: 2, H: 6, W: 5}, {C: 1, H: 3, W: 2}} {
		src := make([]byte, s.Size())
		for i := range src {
			src[i] = byte(i%251 + 1)
		}
		for dy := -pad; dy <= pad; dy++ {
			for dx := -pad; dx <= pad; dx++ {
				dst := bytes.Repeat([]byte{255}, s.Size()) // what an earlier batch left
				crop(dst, src, s, dy, dx)
				flipped := bytes.Clone(dst)
				mirror(flipped, s)
				for i := range s.Size() {
					y, x, c := i/s.C/s.W, i/s.C%s.W, i%s.C
					if got, want := dst[i], at(src, s, y+dy, x+dx, c); got != want {
						t.Fatalf("%+v, offset %d, %d: pixel %d, %d is %d, want %d", s, dy, dx, y, x, got, want)
					}
					if got, want := flipped[i], at(dst, s, y, s.W-1-x, c); got != want {
						t.Fatalf("%+v mirrored: pixel %d, %d is %d, want %d", s, y, x, got, want)
					}
				}
			}
		}
	}
}

// Each of the 81 offsets, mirrored or not, must be drawn about equally often.
func TestCropFlipIsUniform(t *testing.T) {
	s := data.Shape{C: 1, H: 9, W: 9}
	src, dst := make([]byte, s.Size()), make([]byte, s.Size())
	src[4*9+4], src[4*9+3] = 1, 2 // the centre and its left neighbour tell the offset and the mirroring
	r := rand.New(rand.NewPCG(1, 2))
	const draws = 162 * 400
	seen := map[string]int{}
	for range draws {
		cropFlip(dst, src, s, r)
		i := bytes.IndexByte(dst, 1)
		flipped := i%9 < 8 && dst[i+1] == 2 || i%9 == 8 && bytes.IndexByte(dst, 2) < 0
		seen[fmt.Sprint(i, flipped)]++
	}
	if len(seen) != 162 {
		t.Errorf("saw %d outcomes, want 162", len(seen))
	}
	for what, n := range seen {
		if n < 300 || n > 500 { // five standard deviations around 400
			t.Errorf("%s came %d times, want about 400", what, n)
		}
	}
}

func BenchmarkCropFlip(b *testing.B) {
	for _, s := range []data.Shape{{C: 1, H: 28, W: 28}, {C: 3, H: 32, W: 32}} {
		b.Run(fmt.Sprintf("%dx%dx%d", s.H, s.W, s.C), func(b *testing.B) {
			src, dst := make([]byte, s.Size()), make([]byte, s.Size())
			r := rand.New(rand.NewPCG(1, 2))
			b.SetBytes(int64(s.Size()))
			for b.Loop() {
				cropFlip(dst, src, s, r)
			}
		})
	}
}
