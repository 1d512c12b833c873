package theory

import (
	"errors"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// Stack is a network of local modules x_k = tanh(V_k x_{k−1}), each with a head W_k and the mean cross-entropy L_k of
// W_k x_k, on one batch: the columns of x₀.
type Stack struct {
	bodies []*mat.Dense // V_1 … V_K, [D, D]
	heads  []*mat.Dense // W_1 … W_K, [C, D]
	x      []*mat.Dense // x_0 … x_K, [D, B]; bodies do not change here
	labels []int
}

func newStack(r *rand.Rand, modules, classes, d, batch int) *Stack {
	s := &Stack{x: []*mat.Dense{gaussian(r, d, batch, 1)}}
	for i := range batch {
		s.labels = append(s.labels, i%classes)
	}
	for k := range modules {
		s.bodies = append(s.bodies, gaussian(r, d, d, 0.5))
		s.heads = append(s.heads, gaussian(r, classes, d, 0.5))
		s.x = append(s.x, tanh(product(s.bodies[k], s.x[k])))
	}
	return s
}

// tanh overwrites h.
func tanh(h *mat.Dense) *mat.Dense {
	h.Apply(func(_, _ int, v float64) float64 { return math.Tanh(v) }, h)
	return h
}

// errors returns the softmax p, [C, B], and ∂L_k/∂(W x_k) = (p − y)/B for a head W.
func (s *Stack) errors(k int, w mat.Matrix) (p, e *mat.Dense) {
	z := product(w, s.x[k])
	classes, batch := z.Dims()
	p, e = mat.NewDense(classes, batch, nil), mat.NewDense(classes, batch, nil)
	for i, y := range s.labels {
		p.SetCol(i, softmax(z.ColView(i)).RawVector().Data)
		e.SetCol(i, logitGradient(z.ColView(i), y).RawVector().Data)
	}
	e.Scale(1/float64(batch), e)
	return p, e
}

// atOutput is δ_{x_k} of L_k, [D, B].
func (s *Stack) atOutput(k int) *mat.Dense {
	_, e := s.errors(k, s.heads[k-1])
	return product(s.heads[k-1].T(), e)
}

// through takes a gradient at x_k back to what stands behind the tanh of body k.
func (s *Stack) through(k int, delta *mat.Dense) *mat.Dense {
	var h mat.Dense
	h.Apply(func(i, j int, d float64) float64 { x := s.x[k].At(i, j); return d * (1 - x*x) }, delta)
	return &h
}

// atInput is δ_{x_{k−1}} of L_k.
func (s *Stack) atInput(k int) *mat.Dense {
	return product(s.bodies[k-1].T(), s.through(k, s.atOutput(k)))
}

// LocalGradient is ∂L_k/∂V_k.
func (s *Stack) LocalGradient(k int) *mat.Dense {
	return product(s.through(k, s.atOutput(k)), s.x[k-1].T())
}

// HeadGradient is ∂L_k/∂W_k. That of the last loss, L_K, is 0 for every k < K.
func (s *Stack) HeadGradient(k int) *mat.Dense {
	_, e := s.errors(k, s.heads[k-1])
	return product(e, s.x[k].T())
}

// GlobalGradient is ∂L_K/∂V_k by back-propagation from the last loss.
func (s *Stack) GlobalGradient(k int) *mat.Dense {
	delta := s.atOutput(len(s.bodies))
	for j := len(s.bodies); j > k; j-- {
		delta = product(s.bodies[j-1].T(), s.through(j, delta))
	}
	return product(s.through(k, delta), s.x[k-1].T())
}

// Term is Eq. 6 of module k ≥ 2 over the batch, or with each sample's gradients divided by their norms (Algorithm 1).
func (s *Stack) Term(k int, normalized bool) float64 {
	delta, r := s.atInput(k), s.atOutput(k-1)
	if normalized {
		unitColumns(delta)
		unitColumns(r)
	}
	v := minus(delta, r)
	return inner(v, v)
}

func unitColumns(m *mat.Dense) {
	_, n := m.Dims()
	for i := range n {
		c := m.ColView(i).(*mat.VecDense)
		c.ScaleVec(1/norm(c), c)
	}
}

// Reconcile solves for the heads, from the last but one to the first, so that every S is 0. With scales it is only the
// normalised S that is: gradient i at x_k becomes scales[i] times what the module behind sends back.
func (s *Stack) Reconcile(scales []float64) error {
	for k := len(s.bodies) - 1; k >= 1; k-- {
		target := s.atInput(k + 1)
		for i, scale := range scales {
			c := target.ColView(i).(*mat.VecDense)
			c.ScaleVec(scale, c)
		}
		if err := s.solveHead(k, target); err != nil {
			return err
		}
	}
	return nil
}

var errNoHead = errors.New("theory: no head found that has this gradient")

// solveHead finds W_k with δ_{x_k} = target by Gauss–Newton steps of least norm, halved while they do not help.
func (s *Stack) solveHead(k int, target *mat.Dense) error {
	residual := func(w *mat.Dense) *mat.Dense {
		_, e := s.errors(k, w)
		return minus(product(w.T(), e), target)
	}
	goal := 1e-14 * norm(target)
	w := s.heads[k-1]
	for range 100 {
		r := residual(w)
		if norm(r) <= goal {
			return nil
		}
		step, err := s.newton(k, w, r)
		if err != nil {
			return err
		}
		for size := 1.0; ; size /= 2 {
			if size < 1e-6 {
				return acceptable(norm(r), norm(target))
			}
			var next mat.Dense
			next.Scale(-size, step)
			next.Add(&next, w)
			if norm(residual(&next)) < norm(r) {
				w.Copy(&next)
				break
			}
		}
	}
	return acceptable(norm(residual(w)), norm(target))
}

// acceptable is a residual at the limit of rounding, where no step helps any more.
func acceptable(residual, target float64) error {
	if residual <= 1e-12*target {
		return nil
	}
	return errNoHead
}

// newton returns the dW of least norm for which the residual's change is r: d(Wᵀe) = dWᵀe + Wᵀ(diag p − p pᵀ) dW x/B.
func (s *Stack) newton(k int, w, r *mat.Dense) (*mat.Dense, error) {
	p, e := s.errors(k, w)
	d, batch := r.Dims()
	classes, _ := w.Dims()
	jacobian := mat.NewDense(d*batch, classes*d, nil)
	right := mat.NewVecDense(d*batch, nil)
	for i := range batch {
		for j := range d {
			row := i*d + j
			right.SetVec(row, r.At(j, i))
			mean := mat.Dot(p.ColView(i), w.ColView(j))
			for c := range classes {
				pull := p.At(c, i) * (w.At(c, j) - mean) / float64(batch)
				for l := range d {
					jacobian.Set(row, c*d+l, pull*s.x[k].At(l, i))
				}
				jacobian.Set(row, c*d+j, jacobian.At(row, c*d+j)+e.At(c, i))
			}
		}
	}
	var step mat.VecDense
	if err := step.SolveVec(jacobian, right); err != nil {
		return nil, errNoHead // close to singular
	}
	return mat.NewDense(classes, d, step.RawVector().Data), nil
}
