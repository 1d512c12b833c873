package picture

import "math"

// Affine says where in the source an output position comes from: x' = A·x + B·y + C, y' = D·x + E·y + F.
type Affine struct{ A, B, C, D, E, F float64 }

// ShearX moves rows by level times their number.
func ShearX(level float64) Affine { return Affine{A: 1, B: level, E: 1} }

// ShearY moves columns by level times their number.
func ShearY(level float64) Affine { return Affine{A: 1, D: level, E: 1} }

// Translate moves by dx to the right and dy down.
func Translate(dx, dy int) Affine { return Affine{A: 1, C: -float64(dx), E: 1, F: -float64(dy)} }

// Rotation turns p by degrees about its centre, against the clock.
func (p Picture) Rotation(degrees float64) Affine {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	x, y := float64(p.W)/2, float64(p.H)/2
	return Affine{cos, -sin, x - cos*x + sin*y, sin, cos, y - sin*x - cos*y}
}

// Warp fills dst with the nearest pixels of src, black where it has none. Both are of the same size and do not overlap.
func (a Affine) Warp(dst, src Picture) {
	const one = 1 << 16
	fix := func(v float64) int { return int(math.Floor(v*one + 0.5)) }
	dx, dy := fix(a.A), fix(a.D)
	startX, startY := fix(a.C+a.A/2+a.B/2), fix(a.F+a.D/2+a.E/2) // of the first pixel's centre
	for y := range dst.H {
		out := dst.row(y)
		atX, atY := startX+y*fix(a.B), startY+y*fix(a.E)
		for ; len(out) > 0; out = out[dst.C:] {
			x, y := atX>>16, atY>>16
			if x >= 0 && x < src.W && y >= 0 && y < src.H {
				copy(out[:dst.C], src.Pix[y*src.Stride+x*src.C:])
			} else {
				clear(out[:dst.C])
			}
			atX, atY = atX+dx, atY+dy
		}
	}
}
