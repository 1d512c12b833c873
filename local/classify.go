package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Classify is the cross-entropy of the local head, the mean over the batch.
type Classify struct {
	Smoothing float64 // of the labels: what each of them gives away to all classes in equal parts (Szegedy et al. 2016)
	Scores    Scores  // how classes and samples count; the zero value: all alike
}

// Loss implements [Objective].
func (c Classify) Loss(p *nn.Pass, m *Module, xk torch.Tensor, in Signal) torch.Tensor {
	logits := float(p, m.Head.Forward(p, p.Alias(xk)))
	defer logits.Free()
	if p.Tangent {
		return p.CrossEntropyTangent(logits, p.Recorded(), in.Y, c.Smoothing)
	}
	p.Point(logits)
	if c.Scores.plain() {
		return p.CrossEntropy(logits, in.Y, c.Smoothing)
	}
	return c.Scores.of(p.Scope, logits, in.Y, c.Smoothing)
}

// Choose implements [Chooser].
func (c Classify) Choose(s Scores) Objective {
	c.Scores = s
	return c
}

// Tangents says whether the loss has a derivative for [nn.Pass.Along].
func (c Classify) Tangents() bool { return c.Scores.plain() }

// SoftTargets says whether labels may be soft.
func (Classify) SoftTargets() bool { return true }

// float returns x in float32 or better. It consumes x.
func float(p *nn.Pass, x torch.Tensor) torch.Tensor {
	if x.DType() != torch.BFloat16 {
		return x
	}
	defer x.Free()
	return p.Cast(x, torch.Float32)
}
