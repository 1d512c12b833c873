package theory

import "gonum.org/v1/gonum/mat"

// Block is the local block of Appendix D for one sample: y = σ(Wx), L = cross-entropy of M·y for a class, M fixed.
// σ is ReLU, or nothing at all. Its term is S = ½‖∂L/∂x − r‖², with the ½ of Appendices C and D.
type Block struct {
	W, M   *mat.Dense // [m, n], [K, m]
	Linear bool
	Class  int
}

// state is what a forward and a backward pass leave.
type state struct {
	open, y  *mat.VecDense // σ′(Wx), σ(Wx)
	p        *mat.VecDense // softmax(My)
	a, delta *mat.VecDense // ∂L/∂y ⊙ σ′(Wx), ∂L/∂x
}

func (b Block) run(x mat.Vector) state {
	var h, a mat.VecDense
	h.MulVec(b.W, x)
	open := mat.NewVecDense(h.Len(), nil)
	for i := range h.Len() {
		if b.Linear || h.AtVec(i) > 0 {
			open.SetVec(i, 1)
		}
	}
	h.MulElemVec(&h, open)
	a.MulElemVec(featureGradient(b.M, &h, b.Class), open)
	return state{open, &h, softmax(apply(b.M, &h)), &a, apply(b.W.T(), &a)}
}

// Term is S at x, for the gradient r that the previous block has handed on.
func (b Block) Term(x, r mat.Vector) float64 {
	v := minus(b.run(x).delta, r)
	return inner(v, v) / 2
}

// PaperGradient is Eq. 35, [∂L/∂y ⊙ σ′(Wx)] (∂L/∂x − r)ᵀ: it holds ∂L/∂y fixed.
func (b Block) PaperGradient(x, r mat.Vector) *mat.Dense {
	s := b.run(x)
	return product(s.a, minus(s.delta, r).T())
}

// MissingTerm is what makes Eq. 35 the gradient of S: [σ′ ⊙ Mᵀ(diag p − p pᵀ)M(σ′ ⊙ W v)] xᵀ, v = ∂L/∂x − r. It is
// how a change of W moves ∂L/∂y.
func (b Block) MissingTerm(x, r mat.Vector) *mat.Dense {
	s := b.run(x)
	tangent := timesElem(s.open, product(b.W, minus(s.delta, r))) // of y along v
	logits := product(b.M, tangent)
	mean := inner(s.p, logits)
	logits.Apply(func(i, _ int, u float64) float64 { return s.p.AtVec(i) * (u - mean) }, logits)
	return product(timesElem(s.open, product(b.M.T(), logits)), x.T())
}

// ExactGradient is ∂S/∂W, with σ″ = 0.
func (b Block) ExactGradient(x, r mat.Vector) *mat.Dense {
	g := b.PaperGradient(x, r)
	g.Add(g, b.MissingTerm(x, r))
	return g
}
