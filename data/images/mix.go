package images

import (
	"math"
	"math/rand/v2"

	"github.com/locus-learn/locus/data"
)

// mix blends each image of a batch with the one before it, the first with the last, by Mixup (Zhang et al. 2018) or CutMix
// (Yun et al. 2019), as torchvision does, and gives the batch its partners' classes and the weight of its own.
func (t *Transform) mix(b *data.Batch, random func() *rand.Rand) {
	if t.Mixup == 0 && t.CutMix == 0 {
		return
	}
	r := random()
	size := b.Shape.Size()
	before := make([]byte, size) // the last image as it was
	copy(before, b.Bytes[(b.N-1)*size:])
	b.Partners = append(append(b.Partners[:0], b.Labels[b.N-1]), b.Labels[:b.N-1]...)
	if t.CutMix == 0 || t.Mixup > 0 && r.IntN(2) == 0 {
		b.Weight = beta(r, t.Mixup)
		for k := b.N - 1; k >= 0; k-- { // from behind, so that the partner is still as it was
			image, partner := b.Bytes[k*size:(k+1)*size], before
			if k > 0 {
				partner = b.Bytes[(k-1)*size : k*size]
			}
			for i, v := range image {
				image[i] = byte(b.Weight*float64(v) + (1-b.Weight)*float64(partner[i]) + 0.5)
			}
		}
		return
	}
	x0, y0, x1, y1 := cutBox(b.Shape, beta(r, t.CutMix), r)
	b.Weight = 1 - float64((x1-x0)*(y1-y0))/float64(b.Shape.W*b.Shape.H)
	for k := b.N - 1; k >= 0; k-- {
		partner := before
		if k > 0 {
			partner = b.Bytes[(k-1)*size : k*size]
		}
		for y := y0; y < y1; y++ {
			row := y * b.Shape.W * b.Shape.C
			from, to := row+x0*b.Shape.C, row+x1*b.Shape.C
			copy(b.Bytes[k*size+from:k*size+to], partner[from:to])
		}
	}
}

// cutBox returns the part that CutMix replaces: 1−weight of the area around a random centre, cut off at the edges.
func cutBox(s data.Shape, weight float64, r *rand.Rand) (x0, y0, x1, y1 int) {
	x, y := r.IntN(s.W), r.IntN(s.H)
	half := 0.5 * math.Sqrt(1-weight)
	w, h := int(half*float64(s.W)), int(half*float64(s.H))
	return max(0, x-w), max(0, y-h), min(s.W, x+w), min(s.H, y+h)
}

// beta draws from Beta(α, α), by Jöhnk's method below 1, where it accepts most draws, and by two Gammas above.
func beta(r *rand.Rand, alpha float64) float64 {
	if alpha > 1 {
		x, y := gamma(r, alpha), gamma(r, alpha)
		return x / (x + y)
	}
	for {
		// In logarithms: for a small α the powers themselves vanish.
		x, y := math.Log(1-r.Float64())/alpha, math.Log(1-r.Float64())/alpha
		if top := max(x, y); math.Exp(x)+math.Exp(y) <= 1 {
			return math.Exp(x-top) / (math.Exp(x-top) + math.Exp(y-top))
		}
	}
}

// gamma draws from Gamma(shape, 1) for a shape of at least 1 (Marsaglia and Tsang 2000).
func gamma(r *rand.Rand, shape float64) float64 {
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
