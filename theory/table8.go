package theory

import "gonum.org/v1/gonum/mat"

// flops counts multiplications, additions and subtractions as Table 8 does, while they are done.
type flops int

func (f *flops) mul(a, b float64) float64 { *f++; return a * b }
func (f *flops) add(a, b float64) float64 { *f++; return a + b }
func (f *flops) sub(a, b float64) float64 { *f++; return a - b }

func (f *flops) dot(a, b mat.Vector) float64 {
	sum := f.mul(a.AtVec(0), b.AtVec(0))
	for i := 1; i < a.Len(); i++ {
		sum = f.add(sum, f.mul(a.AtVec(i), b.AtVec(i)))
	}
	return sum
}

// times is m·x.
func (f *flops) times(m mat.Matrix, x mat.Vector) *mat.VecDense {
	dense := mat.DenseCopyOf(m)
	rows, _ := m.Dims()
	y := mat.NewVecDense(rows, nil)
	for i := range rows {
		y.SetVec(i, f.dot(dense.RowView(i), x))
	}
	return y
}

func (f *flops) elementwise(op func(a, b float64) float64, a, b mat.Vector) *mat.VecDense {
	y := mat.NewVecDense(a.Len(), nil)
	for i := range a.Len() {
		y.SetVec(i, op(a.AtVec(i), b.AtVec(i)))
	}
	return y
}

func (f *flops) outer(a, b mat.Vector) *mat.Dense {
	y := mat.NewDense(a.Len(), b.Len(), nil)
	y.Apply(func(i, j int, _ float64) float64 { return f.mul(a.AtVec(i), b.AtVec(j)) }, y)
	return y
}

// Table8 has the operations of Eq. 35 on one sample, from ∂L/∂y, σ′(Wx), W and r; and those of its missing term, from
// these, x, p and M.
type Table8 struct{ A, B, AB, Missing int }

// Total is the last row of the table.
func (t Table8) Total() int { return t.A + t.B + t.AB }

// CountFlops does the arithmetic and returns it with its count.
func (b Block) CountFlops(x, r mat.Vector) (paper, missing *mat.Dense, t Table8) {
	s := b.run(x)
	output := featureGradient(b.M, s.y, b.Class)
	var fa, fb, fab, fm flops
	a := fa.elementwise(fa.mul, output, s.open)
	v := fb.elementwise(fb.sub, fb.times(b.W.T(), a), r)
	paper = fab.outer(a, v)

	tangent := fm.elementwise(fm.mul, s.open, fm.times(b.W, v))
	logits := fm.times(b.M, tangent)
	mean := fm.dot(s.p, logits)
	for k := range logits.Len() {
		logits.SetVec(k, fm.mul(s.p.AtVec(k), fm.sub(logits.AtVec(k), mean)))
	}
	missing = fm.outer(fm.elementwise(fm.mul, s.open, fm.times(b.M.T(), logits)), x)
	return paper, missing, Table8{int(fa), int(fb), int(fab), int(fm)}
}
