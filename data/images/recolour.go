package images

import (
	"math"
	"math/rand/v2"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/picture"
)

// recolourer recolours the images of one goroutine.
type recolourer struct {
	smoother picture.Smoother
	copy     []byte
}

// colour changes a cropped image in place: jitter, then RandAugment, then erasing; or the view's part of barlow.
func (s *recolourer) colour(p picture.Picture, t *Transform, view int, r *rand.Rand) {
	if t.Augment == data.AugmentBarlow {
		s.barlow(p, barlowViews[min(view, len(barlowViews)-1)], r)
		return
	}
	if anyJitter(&t.Jitter) && r.Float64() < t.Jitter.P {
		jitter(&t.Jitter, p, r)
	}
	for range t.RandAugment.Ops {
		s.randAugment(p, t.RandAugment.Magnitude, r)
	}
	if t.Erase.P > 0 && r.Float64() < t.Erase.P {
		erase(&t.Erase, p, t.Mean, r)
	}
}

// jitter changes brightness, contrast, saturation and hue in a random order.
func jitter(j *data.JitterOptions, p picture.Picture, r *rand.Rand) {
	factor := func(spread float64) float64 { return uniform(r, max(0, 1-spread), 1+spread) }
	for _, op := range r.Perm(4) {
		switch {
		case op == 0 && j.Brightness > 0:
			p.Brightness(factor(j.Brightness))
		case op == 1 && j.Contrast > 0:
			p.Contrast(factor(j.Contrast))
		case op == 2 && j.Saturation > 0:
			p.Saturation(factor(j.Saturation))
		case op == 3 && j.Hue > 0:
			p.Hue(uniform(r, -j.Hue, j.Hue))
		}
	}
}

// barlowView is how one of the two views of Barlow Twins is recoloured.
type barlowView struct{ blur, solarize float64 } // probabilities

// The views and the jitter are those of Zbontar et al. 2021, appendix A.
var (
	barlowViews  = []barlowView{{blur: 1, solarize: 0}, {blur: 0.1, solarize: 0.2}}
	barlowJitter = data.JitterOptions{P: 0.8, Brightness: 0.4, Contrast: 0.4, Saturation: 0.2, Hue: 0.1}
)

const (
	barlowGrey      = 0.2 // probability
	barlowThreshold = 128 // of solarization
)

func (s *recolourer) barlow(p picture.Picture, v barlowView, r *rand.Rand) {
	if r.Float64() < barlowJitter.P {
		jitter(&barlowJitter, p, r)
	}
	if r.Float64() < barlowGrey {
		p.Grey()
	}
	if r.Float64() < v.blur {
		s.smoother.Blur(p, uniform(r, 0.1, 2))
	}
	if r.Float64() < v.solarize {
		p.Solarize(barlowThreshold)
	}
}

// magnitudes is how many strengths RandAugment has, from 0 on.
const magnitudes = 31

const (
	ops          = 14 // of RandAugment
	lastSignedOp = 9  // 1 to this have a strength with a sign
)

// randAugment applies one of torchvision's operations, each equally likely, at a strength of 0 to magnitudes-1.
func (s *recolourer) randAugment(p picture.Picture, magnitude int, r *rand.Rand) {
	op, sign := r.IntN(ops), 1.0
	if op >= 1 && op <= lastSignedOp && r.IntN(2) == 1 {
		sign = -1
	}
	s.operate(p, op, sign, magnitude)
}

// operate applies an operation by its number in torchvision's list.
func (s *recolourer) operate(p picture.Picture, op int, sign float64, magnitude int) {
	part := float64(magnitude) / (magnitudes - 1)
	signed := sign * part
	switch op {
	case 0: // identity
	case 1:
		s.warp(p, picture.ShearX(0.3*signed))
	case 2:
		s.warp(p, picture.ShearY(0.3*signed))
	case 3:
		s.warp(p, picture.Translate(int(150.0/331*float64(p.W)*signed), 0))
	case 4:
		s.warp(p, picture.Translate(0, int(150.0/331*float64(p.H)*signed)))
	case 5:
		s.warp(p, p.Rotation(30*signed))
	case 6:
		p.Brightness(1 + 0.9*signed)
	case 7:
		p.Saturation(1 + 0.9*signed)
	case 8:
		p.Contrast(1 + 0.9*signed)
	case lastSignedOp:
		s.smoother.Sharpness(p, 1+0.9*signed)
	case 10:
		p.Posterize(8 - int(math.RoundToEven(4*part)))
	case 11:
		p.Solarize(int(math.Ceil(255 * (1 - part))))
	case 12:
		p.AutoContrast()
	case 13:
		p.Equalize()
	}
}

// warp moves the pixels of p.
func (s *recolourer) warp(p picture.Picture, a picture.Affine) {
	s.copy = append(s.copy[:0], p.Pix...)
	a.Warp(p, picture.Of(s.copy, p.W, p.H, p.C))
}

// erase fills a random rectangle with the bytes nearest to mean, as torchvision's RandomErasing fills with 0 after
// normalisation; an image in which ten tries find no room stays as it is.
func erase(e *data.EraseOptions, p picture.Picture, mean []float64, r *rand.Rand) {
	logLow, logHigh := math.Log(e.Ratio[0]), math.Log(e.Ratio[1])
	for range 10 {
		area := float64(p.W*p.H) * uniform(r, e.Scale[0], e.Scale[1])
		ratio := math.Exp(uniform(r, logLow, logHigh))
		h, w := int(math.RoundToEven(math.Sqrt(area*ratio))), int(math.RoundToEven(math.Sqrt(area/ratio)))
		if h >= p.H || w >= p.W {
			continue
		}
		colour := make([]byte, p.C)
		for c := range min(p.C, len(mean)) {
			colour[c] = byte(math.Round(255 * mean[c]))
		}
		y, x := r.IntN(p.H-h+1), r.IntN(p.W-w+1)
		p.Fill(x, y, w, h, colour)
		return
	}
}
