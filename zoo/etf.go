package zoo

import (
	"math"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/nn"
)

// mostETFClasses bounds the time that the frame's axes take, which grows with the square of the classes.
const mostETFClasses = 2048

// newETFHead builds average pooling to p×p cells and the fixed linear map M, a simplex equiangular tight frame (Eq. 7).
// K classes need K − 1 dimensions, so p is the smallest with C·p² ≥ K − 1 unless o.Side says otherwise.
func newETFHead(o HeadOptions, in nn.Shape, classes int, init nn.Init) (nn.Layer, error) {
	side, largest := max(o.Side, 1), max(1, min(in.H, in.W))
	if side > largest {
		return nil, fault.New("head.side is %d: must be at most %d, the side of the maps of %d×%d×%d that the etf head gets", side, largest, in.C, in.H, in.W)
	}
	for o.Side == 0 && side < largest && in.C*side*side < classes-1 {
		side++
	}
	width := in.C * side * side
	switch {
	case width >= classes-1:
	case in.H == 0:
		return nil, fault.New("head.name is etf: a simplex of %d classes needs at least %d features, the module puts out %d; fits wider nets", classes, classes-1, width)
	default:
		return nil, fault.New("head.name is etf: a simplex of %d classes needs at least %d features, %d×%d cells of %d channels have %d; fits wider nets, larger maps or a larger head.side", classes, classes-1, side, side, in.C, width)
	}
	if classes > mostETFClasses {
		return nil, fault.New("head.name is etf: a simplex of %d classes takes hours to make; fits at most %d classes", classes, mostETFClasses)
	}
	init.Fits("etf", 2, int64(classes), int64(width))
	m := &nn.Linear{Weight: init.Given("etf", func() []float64 { return simplexETF(init, classes, width) }, int64(classes), int64(width))}
	if in.H == 0 {
		return m, nil
	}
	return nn.Sequential{nn.AvgPool{Side: side}, nn.Flatten{}, m}, nil
}

// simplexETF returns K unit vectors of d ≥ K−1 elements whose inner products are −1/(K−1): the corners of a regular
// simplex, turned at random.
func simplexETF(init nn.Init, classes, d int) []float64 {
	axes := orthonormal(init, classes-1, d)
	m := make([]float64, classes*d)
	scale := math.Sqrt(float64(classes) / float64(classes-1))
	for j, axis := range axes {
		// The j-th of K−1 orthonormal vectors with sum 0 (Helmert): j+1 equal elements, and one that makes up for them.
		norm := math.Sqrt(float64((j + 1) * (j + 2)))
		for k := range j + 2 {
			h := 1 / norm
			if k == j+1 {
				h = -float64(j+1) / norm
			}
			for i, a := range axis {
				m[k*d+i] += scale * h * a
			}
		}
	}
	return m
}

// orthonormal returns n ≤ d orthonormal vectors of d elements, drawn from init's seed.
func orthonormal(init nn.Init, n, d int) [][]float64 {
	random := seed.Rand(init.Seed, "init/"+init.Prefix+"etf")
	var all [][]float64
	for range n {
		v := make([]float64, d)
		for i := range v {
			v[i] = random.NormFloat64()
		}
		for range 2 { // once more against rounding
			for _, u := range all {
				subtract(v, u, dot(v, u))
			}
		}
		norm := math.Sqrt(dot(v, v))
		for i := range v {
			v[i] /= norm
		}
		all = append(all, v)
	}
	return all
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// subtract takes factor·u from v.
func subtract(v, u []float64, factor float64) {
	for i := range v {
		v[i] -= factor * u[i]
	}
}
