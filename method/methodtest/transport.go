package methodtest

import (
	"errors"
	"fmt"
	"math"

	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// transport: whether gradients come back through the transposes of forward weights. The weight W of a head's last layer
// gets W + u nᵀ with n orthogonal to the features of every sample: the loss and its gradient with respect to the logits
// stay, but Wᵀ times that gradient does not. A body in front that moves otherwise has been reached through Wᵀ.
func transport(s *Subject) (note string, err error) {
	var least, most float64 = math.Inf(1), 0
	base, err := s.trial(torch.Float64)
	if err != nil {
		return "", err
	}
	defer base.free()
	start := stateOf(base.model.Params())
	want, err := base.drive(nil)
	if err != nil {
		return "", err
	}
	defer want.free()
	for i, m := range base.Modules() {
		if lastLinear(m) == nil {
			continue
		}
		d, err := s.transported(i, want, start, update(bodyOf(m), start))
		if err != nil {
			return "", err
		}
		least, most = min(least, d), max(most, d)
	}
	never := s.method.Claims.Transport == method.Never
	switch {
	case math.IsInf(least, 1):
		return "no head ends in a linear layer: nothing to transport through", nil
	case never && most > 1e-6:
		return "", fmt.Errorf("it claims to do without transposed weights, and an update follows one: %.1e of it", most)
	case !never && least < 1e-3:
		return "", fmt.Errorf("it claims to use transposed weights, and an update does not follow one: %.1e of it", least)
	}
	return fmt.Sprintf("another transpose, the same loss: updates differ by %.1e to %.1e", least, most), nil
}

// transported returns how much the update of the i-th module's body depends on what its head's last weight does beside
// the features.
func (s *Subject) transported(i int, want trace, start state, plain []float64) (float64, error) {
	r, err := s.trial(torch.Float64)
	if err != nil {
		return 0, err
	}
	defer r.free()
	m := r.Modules()[i]
	last := lastLinear(m)
	rows, width := r.headFeatures(m, want.signals[i].X)
	n := orthogonal(rows, width)
	if n == nil {
		return 0, errors.New("the features leave no room beside them")
	}
	w := last.Weight.Value
	random := seed.Rand(1, "methodtest/transport", uint64(i))
	v := w.Float64s()
	for c := range int(w.Shape()[0]) {
		u := random.NormFloat64()
		for d := range width {
			v[c*width+d] += u * n[d]
		}
	}
	w.Copy(r.scope.FromDoubles(v, w.Shape()...))
	out, _, err := r.Rule.Train(m, copyOf(want.signals[i]), r.DType, local.Tick{LR: 0.1})
	if err != nil {
		return 0, err
	}
	out.Free()
	return distance(update(bodyOf(m), start), plain), nil
}

// bodyOf returns the parameters of a module's body.
func bodyOf(m *local.Module) []*nn.Param { return nn.Params(m.Body) }

// lastLinear returns the layer that a head ends in, if it is linear and trained.
func lastLinear(m *local.Module) *nn.Linear {
	layers, ok := m.Head.(nn.Sequential)
	if !ok {
		layers = nn.Sequential{m.Head}
	}
	if len(layers) == 0 {
		return nil
	}
	l, ok := layers[len(layers)-1].(*nn.Linear)
	if !ok || !l.Weight.Trainable {
		return nil
	}
	return l
}

// headFeatures returns the rows [samples, width] in front of the last layer of a module's head.
func (r *trial) headFeatures(m *local.Module, x torch.Tensor) (rows [][]float64, width int) {
	p := nn.Repeat(r.scope, r.DType, nil).Over(r.Rule.Views)
	h := p.Run(m.Body, r.scope.Alias(x))
	if layers, ok := m.Head.(nn.Sequential); ok {
		h = p.Run(layers[:len(layers)-1], h)
	}
	width = int(h.Shape()[1])
	all := h.Float64s()
	for i := range len(all) / width {
		rows = append(rows, all[i*width:(i+1)*width])
	}
	return rows, width
}

// orthogonal returns a unit vector that is orthogonal to all rows, or nil if there is none.
func orthogonal(rows [][]float64, width int) []float64 {
	var basis [][]float64
	reduce := func(v []float64) (norm float64) {
		for range 2 { // once more against rounding
			for _, b := range basis {
				var dot float64
				for i := range v {
					dot += v[i] * b[i]
				}
				for i := range v {
					v[i] -= dot * b[i]
				}
			}
		}
		for _, x := range v {
			norm += x * x
		}
		norm = math.Sqrt(norm)
		for i := range v {
			v[i] /= norm
		}
		return norm
	}
	for _, row := range rows {
		v := append([]float64{}, row...)
		if reduce(v) > 1e-9 {
			basis = append(basis, v)
		}
	}
	random := seed.Rand(1, "methodtest/orthogonal", 0)
	v := make([]float64, width)
	for i := range v {
		v[i] = random.NormFloat64()
	}
	if len(basis) >= width || reduce(v) < 1e-9 {
		return nil
	}
	return v
}
