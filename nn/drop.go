package nn

import (
	"github.com/locus-learn/locus/torch"
)

// Dropout zeroes elements with probability Rate in training and scales the others by 1/(1 − Rate) (Srivastava et al.
// 2014). What it zeroes is a gate.
type Dropout struct{ Rate float64 }

// Forward implements [Layer].
func (l Dropout) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	if !p.Train || l.Rate == 0 {
		return x
	}
	mask, done := p.choice(func() torch.Tensor { return p.Chance(x, l.Rate, p.draw()) })
	y := p.ZeroedWhere(x, mask, 1/(1-l.Rate))
	done()
	x.Free()
	return y
}

// Tangents says that the layer has a derivative for [Pass.Along].
func (Dropout) Tangents() bool { return true }

// Noise returns x plus Gaussian noise of relative times the deviation of x's elements, a constant to autograd. Gates
// record the noise, and replay it whatever x then is. It does not consume x; the caller owns the result.
func (p *Pass) Noise(x torch.Tensor, relative float64) torch.Tensor {
	noise, done := p.choice(func() torch.Tensor {
		noise := p.ZerosLike(x)
		deviation := p.deviation(x, relative)
		defer deviation.Free()
		noise.NormalBy(deviation, p.draw())
		return noise
	})
	y := p.Add(x, noise, 1)
	done()
	return y
}

// deviation returns relative times the standard deviation of the elements of x, not corrected for their mean's.
func (p *Pass) deviation(x torch.Tensor, relative float64) torch.Number {
	s := x.Device().Scope(torch.NoGrad)
	defer s.Close()
	if x.DType() == torch.BFloat16 {
		x = s.Cast(x, torch.Float32)
	}
	n := s.Double(float64(x.Numel()))
	mean := s.Div(s.Cast(s.Sum(x), torch.Float64), n)
	norm := s.Norms([]torch.Tensor{x})
	variance := s.ClampMin(s.Add(s.Div(s.Mul(norm, norm), n), s.Mul(mean, mean), -1), 0)
	return s.Number(s.Scale(s.Sqrt(s.Sum(variance)), relative)).Keep()
}

// DropPath is stochastic depth: in training it leaves a residual branch away with probability Rate, sample by sample,
// and scales it by 1/(1 − Rate) otherwise (Huang et al. 2016). What it leaves away is a gate.
type DropPath struct{ Rate float64 }

// Add returns shortcut + branch, both rows [N·T, C] of N samples, and consumes both. It overwrites the branch: put it
// behind a layer whose result autograd does not keep.
func (l DropPath) Add(p *Pass, shortcut, branch torch.Tensor, samples int64) torch.Tensor {
	if p.Train && l.Rate > 0 {
		scale, done := p.choice(func() torch.Tensor { return l.scales(p, samples) })
		rows := branch.Shape()[0]
		each := p.Reshape(p.Expand(scale, samples, rows/samples), rows, 1)
		p.MulInPlace(branch, each)
		each.Free()
		done()
	}
	p.AddInPlace(branch, shortcut, 1)
	shortcut.Free()
	return branch
}

// scales draws 0 or 1/(1 − Rate) for every sample: [N, 1].
func (l DropPath) scales(p *Pass, samples int64) torch.Tensor {
	scale := p.Full(torch.Float32, 1/(1-l.Rate), samples, 1)
	mask := p.Chance(scale, l.Rate, p.draw())
	p.ZeroWhere(scale, mask)
	mask.Free()
	return scale
}
