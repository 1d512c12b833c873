package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Classify is the cross-entropy of the local head, the mean over the batch.
type Classify struct {
	Smoothing float64 // of the labels: what each of them gives away to all classes in equal parts (Szegedy et al. 2016)
}

// Loss implements [Objective].
func (c Classify) Loss(p *nn.Pass, m *Module, xk torch.Tensor, in Signal) torch.Tensor {
	logits := float(p, m.Head.Forward(p, p.Alias(xk)))
	defer logits.Free()
	if p.Tangent {
		return p.CrossEntropyTangent(logits, p.Recorded(), in.Y, c.Smoothing)
	}
	p.Point(logits)
	return p.CrossEntropy(logits, in.Y, c.Smoothing)
}

// Tangents says that the loss has a derivative for [nn.Pass.Along].
func (Classify) Tangents() bool { return true }

// SoftTargets says that labels may be soft.
func (Classify) SoftTargets() bool { return true }

// float returns x in float32 or better. It consumes x.
func float(p *nn.Pass, x torch.Tensor) torch.Tensor {
	if x.DType() != torch.BFloat16 {
		return x
	}
	defer x.Free()
	return p.Cast(x, torch.Float32)
}
