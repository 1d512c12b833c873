package images

import (
	"math"
	"math/rand/v2"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/picture"
)

// place is a part of an image, in pixels.
type place struct{ x, y, w, h int }

// draw takes a part of a w × h image as torchvision's RandomResizedCrop does: an area and a shape that fit, the largest
// centred part of an allowed shape if ten tries do not.
func draw(o *data.CropOptions, w, h int, r *rand.Rand) place {
	logLow, logHigh := math.Log(o.Ratio[0]), math.Log(o.Ratio[1])
	for range 10 {
		area := float64(w*h) * uniform(r, o.Scale[0], o.Scale[1])
		ratio := math.Exp(uniform(r, logLow, logHigh))
		pw, ph := int(math.RoundToEven(math.Sqrt(area*ratio))), int(math.RoundToEven(math.Sqrt(area/ratio)))
		if pw > 0 && pw <= w && ph > 0 && ph <= h {
			return place{x: r.IntN(w - pw + 1), y: r.IntN(h - ph + 1), w: pw, h: ph}
		}
	}
	p := place{w: w, h: h}
	switch ratio := float64(w) / float64(h); {
	case ratio < o.Ratio[0]:
		p.h = min(h, max(1, int(math.RoundToEven(float64(w)/o.Ratio[0]))))
	case ratio > o.Ratio[1]:
		p.w = min(w, max(1, int(math.RoundToEven(float64(h)*o.Ratio[1]))))
	}
	p.x, p.y = (w-p.w)/2, (h-p.h)/2
	return p
}

// uniform draws from low to high.
func uniform(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }

// randomPlace reports whether training takes a random part of each image.
func (t *Transform) randomPlace() bool {
	return t.Augment == data.AugmentResizedCrop || t.Augment == data.AugmentBarlow
}

// place draws the part of a w × h image that training takes.
func (t *Transform) place(w, h int, r *rand.Rand) place { return draw(&t.Crop, w, h, r) }

// filter is what parts are scaled with: bilinear as in torchvision, and bicubic for Barlow Twins, as its authors do.
func (t *Transform) filter() picture.Filter {
	if t.Augment == data.AugmentBarlow {
		return picture.Bicubic
	}
	return picture.Bilinear
}

// shrinkFor returns how much smaller a w × h part can be decoded without getting smaller than s.
func shrinkFor(w, h int, s data.Shape) int {
	for _, shrink := range []int{8, 4, 2} {
		if w >= shrink*s.W && h >= shrink*s.H {
			return shrink
		}
	}
	return 1
}

// scale writes the part to dst out of src, which is the whole w × h image, decoded at 1/shrink of its size. Where it is
// not shrunk, nothing outside of the part has any influence.
func (p place) scale(dst, src picture.Picture, shrink int, filter picture.Filter, resizer *picture.Resizer) {
	if shrink == 1 {
		resizer.Resize(dst, src.Crop(p.x, p.y, p.w, p.h), picture.Box{X1: float64(p.w), Y1: float64(p.h)}, filter)
		return
	}
	box := picture.Box{X0: float64(p.x), Y0: float64(p.y), X1: float64(p.x + p.w), Y1: float64(p.y + p.h)}
	resizer.Resize(dst, src, box.Over(float64(shrink)), filter)
}
