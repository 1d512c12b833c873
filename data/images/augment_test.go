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
		for dy := -4; dy <= 4; dy++ {
			for dx := -4; dx <= 4; dx++ {
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

// Each offset, mirrored or not, must be drawn about equally often, whatever the padding, which is 4 unless set.
func TestCropFlipIsUniform(t *testing.T) {
	s := data.Shape{C: 1, H: 9, W: 9}
	src, dst := make([]byte, s.Size()), make([]byte, s.Size())
	src[4*9+4], src[4*9+3] = 1, 2 // the centre and its left neighbour tell the offset and the mirroring
	for pad, outcomes := range map[int]int{0: 162, 1: 18, 2: 50, 4: 162} {
		f := croppers(s, Transform{Augment: data.AugmentCropFlip, Pad: pad})(1)
		r := rand.New(rand.NewPCG(1, 2))
		seen := map[string]int{}
		for range outcomes * 400 {
			f.cropFlip(dst, src, 0, r)
			i := bytes.IndexByte(dst, 1)
			flipped := i%9 < 8 && dst[i+1] == 2 || i%9 == 8 && bytes.IndexByte(dst, 2) < 0
			seen[fmt.Sprint(i, flipped)]++
		}
		if len(seen) != outcomes {
			t.Errorf("pad %d: saw %d outcomes, want %d", pad, len(seen), outcomes)
		}
		for what, n := range seen {
			if n < 300 || n > 500 { // five standard deviations around 400
				t.Errorf("pad %d: %s came %d times, want about 400", pad, what, n)
			}
		}
	}
}

// croppers returns fillers for epochs of images of a shape.
func croppers(s data.Shape, change Transform) func(epoch int) *filler {
	return func(epoch int) *filler {
		return &filler{o: &data.BatchOptions{Seed: 3, Epoch: epoch}, images: Images{Shape: s}, change: change}
	}
}

// In turns, each image is mirrored in every second epoch, and about half of them in any one. The windows are those of chance.
func TestMirrorInTurns(t *testing.T) {
	s := data.Shape{C: 1, H: 5, W: 5}
	src, chance, turns := make([]byte, s.Size()), make([]byte, s.Size()), make([]byte, s.Size())
	for i := range src {
		src[i] = byte(i + 1)
	}
	at := croppers(s, Transform{Augment: data.AugmentCropFlip, Pad: 1, Mirror: data.MirrorTurns})
	byChance := croppers(s, Transform{Augment: data.AugmentCropFlip, Pad: 1})
	const images = 400
	var last [images]bool
	for epoch := range 5 {
		var mirrored int
		for pick := range images {
			draws := func() *rand.Rand { return rand.New(rand.NewPCG(uint64(epoch), uint64(pick))) }
			at(epoch).cropFlip(turns, src, pick, draws())
			byChance(epoch).cropFlip(chance, src, pick, draws())
			mirror(chance, s)
			is := turns[2*5+1] > turns[2*5+2]
			if is {
				mirrored++
			}
			if epoch > 0 && is == last[pick] {
				t.Fatalf("image %d is mirrored in epochs %d and %d alike: %v", pick, epoch-1, epoch, is)
			}
			last[pick] = is
			if same := bytes.Equal(turns, chance); !same {
				mirror(chance, s)
				if !bytes.Equal(turns, chance) {
					t.Fatalf("image %d, epoch %d: another window than by chance", pick, epoch)
				}
			}
		}
		if mirrored < 150 || mirrored > 250 { // five standard deviations around 200
			t.Errorf("epoch %d: %d of %d images are mirrored", epoch, mirrored, images)
		}
	}
}

func BenchmarkCropFlip(b *testing.B) {
	for _, s := range []data.Shape{{C: 1, H: 28, W: 28}, {C: 3, H: 32, W: 32}} {
		b.Run(fmt.Sprintf("%dx%dx%d", s.H, s.W, s.C), func(b *testing.B) {
			src, dst := make([]byte, s.Size()), make([]byte, s.Size())
			f, r := croppers(s, Transform{Augment: data.AugmentCropFlip})(1), rand.New(rand.NewPCG(1, 2))
			b.SetBytes(int64(s.Size()))
			for b.Loop() {
				f.cropFlip(dst, src, 0, r)
			}
		})
	}
}
