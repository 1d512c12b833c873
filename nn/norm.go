package nn

import (
	"cmp"

	"github.com/locus-learn/locus/torch"
)

// PyTorch's defaults of batch normalisation.
const (
	batchNormMomentum = 0.1
	BatchNormEps      = 1e-5 // added to variances
)

// BatchNorm2d normalises [N, C, H, W] a channel (Ioffe and Szegedy 2015). What usually follows it, the addition of a
// shortcut and a ReLU, belongs to it, so that neither costs another live tensor.
type BatchNorm2d struct {
	Weight, Bias, RunningMean, RunningVar, Batches *Param

	Momentum float64 // share of a batch in the running statistics; 0 stands for PyTorch's 0.1
}

// NewBatchNorm2d returns the identity's normalisation: weight 1, bias 0.
func NewBatchNorm2d(i Init, channels int) *BatchNorm2d {
	c := int64(channels)
	return &BatchNorm2d{
		Weight:      i.constant("weight", 1, c),
		Bias:        i.constant("bias", 0, c),
		RunningMean: i.buffer("running_mean", torch.Float32, 0, c),
		RunningVar:  i.buffer("running_var", torch.Float32, 1, c),
		Batches:     i.buffer("num_batches_tracked", torch.Int64, 0),
	}
}

// Forward implements [Layer].
func (l *BatchNorm2d) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	return l.run(p, x, torch.NormOptions{})
}

// ReLU is the normalisation with a ReLU behind it.
func (l *BatchNorm2d) ReLU(p *Pass, x torch.Tensor) torch.Tensor {
	return l.run(p, x, torch.NormOptions{ReLU: true})
}

// AddReLU is the normalisation, plus a shortcut that it consumes, with a ReLU behind it.
func (l *BatchNorm2d) AddReLU(p *Pass, x, shortcut torch.Tensor) torch.Tensor {
	return l.run(p, x, torch.NormOptions{Residual: shortcut, ReLU: true})
}

// run consumes x and the residual.
func (l *BatchNorm2d) run(p *Pass, x torch.Tensor, o torch.NormOptions) torch.Tensor {
	if p.Tangent {
		return l.along(p, x, o)
	}
	o.Train, o.Momentum, o.Eps, o.Peers = p.Train, cmp.Or(l.Momentum, batchNormMomentum), BatchNormEps, p.Peers
	mean, variance := l.RunningMean.Value, l.RunningVar.Value
	switch {
	case p.Train && (p.Still || p.Gates.Replaying()):
		// The derivative goes through the batch's statistics; the running ones have seen this batch.
		mean, variance = torch.Tensor{}, torch.Tensor{}
	case p.Train:
		l.Batches.Value.Increment(1)
	}
	if o.ReLU && p.Gates.Replaying() {
		o.Gates = p.Gates.take()
	}
	o.Record = o.ReLU && p.Gates != nil && !p.Gates.Replaying()
	y, gates := p.BatchNormAct(x, l.Weight.Value, l.Bias.Value, mean, variance, o)
	if o.Record {
		p.Gates.add(gates)
	}
	p.Point(x)
	x.Free()
	o.Residual.Free()
	return y
}

// along is run's derivative along x.
func (l *BatchNorm2d) along(p *Pass, x torch.Tensor, o torch.NormOptions) torch.Tensor {
	if o.ReLU {
		o.Gates = p.Gates.take()
	}
	y := p.BatchNormActTangent(x, o.Residual, p.Recorded(), l.Weight.Value, o.Gates, BatchNormEps, p.Peers)
	x.Free()
	o.Residual.Free()
	return y
}

// Tangents says that the layer has a derivative for [Pass.Along].
func (*BatchNorm2d) Tangents() bool { return true }
