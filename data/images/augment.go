package images

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/seed"
)

// usualPad stands for a Transform's Pad of 0.
const usualPad = 4

// cropFlip writes image pick, src, to dst as the window at a random offset of the padded src, mirrored or not. It makes the
// same number of draws for each image. dst and src are H × W × C and do not overlap.
func (f *filler) cropFlip(dst, src []byte, pick int, r *rand.Rand) {
	s, pad := f.images.Shape, cmp.Or(f.change.Pad, usualPad)
	dy, dx := r.IntN(2*pad+1)-pad, r.IntN(2*pad+1)-pad
	crop(dst, src, s, dy, dx)
	mirrored := r.IntN(2) == 1
	if f.change.Mirror == data.MirrorTurns {
		mirrored = (seed.Derive(f.o.Seed, "data/mirror", uint64(pick))+uint64(f.o.Epoch))%2 == 1
	}
	if mirrored {
		mirror(dst, s)
	}
}

// crop writes the image that starts dy rows and dx columns into src, with zeros where src has no pixel.
func crop(dst, src []byte, s data.Shape, dy, dx int) {
	stride := s.W * s.C
	shift := dx * s.C
	from, to := max(0, -shift), min(stride, stride-shift) // the bytes of a row of dst that src has
	for y := range s.H {
		row := dst[y*stride : (y+1)*stride]
		if y+dy < 0 || y+dy >= s.H || from >= to {
			clear(row)
			continue
		}
		start := (y + dy) * stride
		clear(row[:from])
		copy(row[from:to], src[start+from+shift:start+to+shift])
		clear(row[to:])
	}
}

// mirror reverses the pixels of each row in place.
func mirror(image []byte, s data.Shape) {
	stride := s.W * s.C
	for y := range s.H {
		row := image[y*stride : (y+1)*stride]
		switch s.C {
		case 1:
			slices.Reverse(row)
		case 3:
			mirrorRGB(row)
		default:
			for i, j := 0, stride-s.C; i < j; i, j = i+s.C, j-s.C {
				for k := range s.C {
					row[i+k], row[j+k] = row[j+k], row[i+k]
				}
			}
		}
	}
}

// mirrorRGB reverses pixels of three bytes; slices of constant length spare the inner loop its bounds checks.
func mirrorRGB(row []byte) {
	for len(row) >= 6 {
		a, b := row[:3:3], row[len(row)-3:]
		a[0], a[1], a[2], b[0], b[1], b[2] = b[0], b[1], b[2], a[0], a[1], a[2]
		row = row[3 : len(row)-3]
	}
}
