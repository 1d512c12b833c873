package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Twins is the loss of Barlow Twins. The head embeds each view; z and z′ [N, D] are the embeddings, each unit of which is
// normalised over its view's batch, and C = zᵀz′/N their cross-correlation:
//
//	L = Σ_i (1 − C_ii)² + λ Σ_i Σ_{j≠i} C_ij²
//
// as the authors' code has it, without a factor in front. (An earlier version of it had one of 1/32 or 0.024.)
type Twins struct {
	Redundancy float64 // λ
}

const twinsEps = 1e-5 // added to variances, as batch normalisation does

// Loss implements [Objective].
func (o Twins) Loss(p *nn.Pass, m *Module, xk torch.Tensor, _ Signal) torch.Tensor {
	z := float(p, p.Run(m.Head, p.Alias(xk)))
	first, second := p.Halves(z)
	z.Free()
	var none torch.Tensor
	a := p.BatchNorm(first, none, none, none, none, true, 0, twinsEps)
	b := p.BatchNorm(second, none, none, none, none, true, 0, twinsEps)
	free([]torch.Tensor{first, second})
	loss := o.ofCorrelation(p.Scope, a, b)
	free([]torch.Tensor{a, b})
	return loss
}

// ofCorrelation returns L of z and z′, normalised. Of C it needs the diagonal and the sum of squares.
func (o Twins) ofCorrelation(s *torch.Scope, a, b torch.Tensor) torch.Tensor {
	both := s.Mul(a, b)
	diagonal := s.MeanDim(both, 0)
	one := s.Full(a.DType(), 1, diagonal.Shape()...)
	gap := s.Add(diagonal, one, -1)
	alike := s.Sum(s.Mul(gap, gap))
	redundant := s.Add(sumOfSquares(s, a, b), s.Sum(s.Mul(diagonal, diagonal)), -1)
	loss := s.Add(alike, redundant, o.Redundancy)
	free([]torch.Tensor{both, diagonal, one, gap, alike, redundant})
	return loss
}

// sumOfSquares returns ‖aᵀb/N‖² = ⟨a aᵀ, b bᵀ⟩/N² for a and b [N, D], by the smaller one of the two products: embeddings
// are wider than batches are large, and [D, D] is the largest tensor of the published form.
func sumOfSquares(s *torch.Scope, a, b torch.Tensor) torch.Tensor {
	shape := a.Shape()
	var none torch.Tensor
	scale := 1 / float64(shape[0]*shape[0])
	if shape[0] <= shape[1] {
		return s.Scale(s.Sum(s.Mul(s.Linear(a, a, none), s.Linear(b, b, none))), scale)
	}
	c := s.Linear(s.Permute(a, 1, 0), s.Permute(b, 1, 0), none)
	return s.Scale(s.Sum(s.Mul(c, c)), scale)
}

// Noisy is a credit that finds gradients at the module's input plus Gaussian noise of Deviation times the input's own
// deviation over the batch. The images in front of the first module stay as they are: their noise is the augmentation.
type Noisy struct {
	Credit
	Deviation float64
}

// Gradients implements [Credit].
func (n Noisy) Gradients(p *nn.Pass, m *Module, o Objective, in Signal, want Want) Gradients {
	if m.Index == 1 || n.Deviation == 0 {
		return n.Credit.Gradients(p, m, o, in, want)
	}
	x := p.Detach(in.X)
	in.X = p.Noise(x, n.Deviation)
	x.Free()
	defer in.X.Free()
	return n.Credit.Gradients(p, m, o, in, want)
}
