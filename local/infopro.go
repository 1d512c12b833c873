package local

import (
	"math"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// InfoPro is the objective of every module but the last, whose own is cross-entropy:
//
//	L_k = λ₁·BCE(σ(decoder(x_k)), image) + λ₂·task,
//
// λ₁ and λ₂ linear in k from the first module to the last but one.
type InfoPro struct {
	Task, Last             Objective // of the modules, and of the last one
	Reconstruction, Weight []float64 // λ₁ and λ₂ of the first module and of the last but one; empty: see [InfoProWeights]
}

// Loss implements [Objective]. The module's Aux is the decoder: x_k → logits of the image.
func (o InfoPro) Loss(p *nn.Pass, m *Module, xk torch.Tensor, in Signal) torch.Tensor {
	if m.Last {
		return o.Last.Loss(p, m, xk, in)
	}
	l1, l2 := o.weights(m.Index, m.Of)
	image := float(p, m.Aux.Forward(p, p.Alias(xk)))
	target := p.Cast(in.Image, image.DType())
	rebuilt := p.BinaryCrossEntropy(image, target)
	image.Free()
	target.Free()
	task := o.Task.Loss(p, m, xk, in)
	loss := p.Add(p.Scale(rebuilt, l1), task, l2)
	rebuilt.Free()
	task.Free()
	return loss
}

// SoftTargets says whether labels may be soft: as the modules' own task has it.
func (o InfoPro) SoftTargets() bool { return TakesSoftTargets(o.Task) }

// Choose implements [Chooser]: for what learns from labels by classes.
func (o InfoPro) Choose(s Scores) Objective {
	if task, ok := o.Task.(Chooser); ok {
		o.Task = task.Choose(s)
	}
	if last, ok := o.Last.(Chooser); ok {
		o.Last = last.Choose(s)
	}
	return o
}

// weights returns λ₁ and λ₂ of module k of K.
func (o InfoPro) weights(k, K int) (l1, l2 float64) {
	first, last := InfoProWeights(K)
	if len(o.Reconstruction) == 2 {
		first[0], last[0] = o.Reconstruction[0], o.Reconstruction[1]
	}
	if len(o.Weight) == 2 {
		first[1], last[1] = o.Weight[0], o.Weight[1]
	}
	t := float64(k-1) / math.Max(1, float64(K-2))
	return first[0] + t*(last[0]-first[0]), first[1] + t*(last[1]-first[1])
}

// published are (λ₁, λ₂) of the first module and of the last but one by K, for ResNet-32 on CIFAR-10, as the authors give
// them. There is nothing to interpolate at K = 2.
var published = []struct {
	modules     int
	first, last [2]float64
}{
	{2, [2]float64{5, 1}, [2]float64{5, 1}},
	{4, [2]float64{6, 0}, [2]float64{1, 2}},
	{8, [2]float64{5, 0}, [2]float64{0, 2}},
	{16, [2]float64{5, 0.05}, [2]float64{0.2, 0.5}},
}

// InfoProWeights returns (λ₁, λ₂) of the first module and of the last but one of K. They are published for K = 2, 4, 8 and
// 16; in between they are linear in K, which is our rule, and beyond they are those of the nearest.
func InfoProWeights(K int) (first, last [2]float64) {
	at := published[0]
	for _, next := range published {
		if K <= next.modules {
			t := 0.0
			if next.modules > at.modules {
				t = math.Max(0, float64(K-at.modules)) / float64(next.modules-at.modules)
			}
			for i := range first {
				first[i] = at.first[i] + t*(next.first[i]-at.first[i])
				last[i] = at.last[i] + t*(next.last[i]-at.last[i])
			}
			return first, last
		}
		at = next
	}
	return at.first, at.last
}

// Contrast is the supervised contrastive loss of what the head embeds, divided by its norm (Khosla et al. 2020).
type Contrast struct{ Temperature float64 }

// Loss implements [Objective].
func (o Contrast) Loss(p *nn.Pass, m *Module, xk torch.Tensor, in Signal) torch.Tensor {
	embedding := float(p, m.Head.Forward(p, p.Alias(xk)))
	z := p.NormalizeRows(embedding, floor)
	embedding.Free()
	loss := p.SupervisedContrast(z, in.Y, o.Temperature)
	z.Free()
	return loss
}
