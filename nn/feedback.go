package nn

import (
	"math"
	"strings"

	"github.com/locus-learn/locus/torch"
)

// Feedback holds fixed random weights, one for each weight of linear layers and convolutions, through which gradients
// flow back in their place: feedback alignment (Lillicrap et al. 2016). It takes effect in a pass whose Back it is.
type Feedback struct {
	params []*Param
	by     map[*Param]*Param // weight → what takes its place
}

// NewFeedback draws feedback for the weights among params, each uniform in ±√(6/fan-in) (He et al. 2015). Their names are
// the weights' behind i's prefix.
func NewFeedback(i Init, params []*Param) *Feedback {
	f := &Feedback{by: map[*Param]*Param{}}
	for _, w := range params {
		shape := w.Value.Shape()
		if len(shape) < 2 || !w.Trainable || w.Embedding || !strings.HasSuffix(w.Name, "weight") {
			continue
		}
		fan := float64(w.Value.Numel() / shape[0])
		f.by[w] = i.Fixed(w.Name, math.Sqrt(6/fan), shape...)
		f.params = append(f.params, f.by[w])
	}
	return f
}

// Of returns what takes a weight's place; nil if nothing does.
func (f *Feedback) Of(weight *Param) *Param { return f.by[weight] }

// of returns the feedback of a weight in the type that a pass computes in; no tensor where there is none.
func (f *Feedback) of(p *Pass, weight *Param) torch.Tensor {
	if f == nil {
		return torch.Tensor{}
	}
	return p.Weight(f.by[weight])
}

// Forward implements [Layer]: features pass unchanged.
func (f *Feedback) Forward(_ *Pass, x torch.Tensor) torch.Tensor { return x }

// Params implements [Layer].
func (f *Feedback) Params() []*Param { return f.params }

// NewProjection returns a fixed random matrix as a linear layer without bias, uniform in ±bound: [N, in] → [N, out].
func NewProjection(i Init, in, out int, bound float64) *Linear {
	return &Linear{Weight: i.Fixed("weight", bound, int64(out), int64(in))}
}
