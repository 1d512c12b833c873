package nntest

import (
	"hash/crc32"
	"math"
	"strings"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Formula returns n values in [−1, 1) that depend on the name alone, the same as golden.py's formula: weights that need
// not be stored.
func Formula(name string, n int64) []float64 {
	h := crc32.ChecksumIEEE([]byte(name))
	out := make([]float64, n)
	for i := range out {
		x := uint32(i)*2654435761 + h
		x = (x ^ x>>15) * 2246822519
		x = (x ^ x>>13) * 3266489917
		x ^= x >> 16
		out[i] = float64(x)/(1<<31) - 1
	}
	return out
}

// FormulaTensor returns the formula's values times scale in a tensor of s, images channels-last.
func FormulaTensor(s *torch.Scope, name string, scale float64, shape ...int64) torch.Tensor {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	v := Formula(name, n)
	for i := range v {
		v[i] *= scale
	}
	t := s.FromDoubles(v, shape...)
	if len(shape) == 4 {
		t = s.ChannelsLast(t)
	}
	return t
}

// Fill overwrites parameters and statistics by the formula, scaled as golden.py's fill does it.
func Fill(params []*nn.Param) {
	for _, p := range params {
		shape := p.Value.Shape()
		if p.Value.DType() == torch.Int64 {
			continue
		}
		v := Formula(p.Name, p.Value.Numel())
		add, times := 0.0, 0.3
		switch last := p.Name[strings.LastIndex(p.Name, ".")+1:]; {
		case p.Embedding:
			times = 0.5
		case len(shape) > 1:
			times = math.Sqrt(3 * float64(shape[0]) / float64(p.Value.Numel()))
		case last == "weight" || last == "running_var":
			add, times = 1, 0.5
		}
		for i := range v {
			v[i] = add + times*v[i]
		}
		s := torch.CPU.Scope(torch.NoGrad)
		p.Value.Copy(s.FromDoubles(v, shape...))
		s.Close()
	}
}

// Net names a whole network in a file of goldens that golden.py's network made.
type Net struct {
	Name  string
	Layer nn.Layer
	Input []int64
	DType torch.DType
	Tol   float64
}

// CheckNet holds a network with formula weights to the goldens: its results in evaluation and training, and of every
// gradient and statistic the norm and one inner product. It returns the worst relative error.
func (g Golden) CheckNet(t testing.TB, n Net) (worst float64) {
	t.Helper()
	s := torch.NewScopeOn(Device(t), torch.Grad)
	defer s.Close()
	params := nn.Params(n.Layer)
	for _, p := range params {
		p.Convert(n.DType)
	}
	Fill(params)
	x := s.Cast(FormulaTensor(s, "input", 1.7, n.Input...), n.DType)
	p := nn.Evaluate(s, n.DType)
	worst = Close(t, "output in evaluation", n.Layer.Forward(p, s.Clone(x)), g.Get(t, n.Name+"|eval"), n.Tol)
	x.SetRequiresGrad(true)
	p.Train = true
	out := n.Layer.Forward(p, s.Clone(x))
	worst = max(worst, Close(t, "output", out, g.Get(t, n.Name+"|out"), n.Tol))
	probe := s.Cast(FormulaTensor(s, "probe", 1, out.Shape()...), n.DType)
	grads := s.Grad(s.Sum(s.Mul(out, probe)), append(nn.Trainable(params), x), torch.GradOptions{})
	worst = max(worst, g.checkDigest(t, n, "grad|input", grads[len(grads)-1]))
	left := map[string]bool{}
	for name := range g {
		if key, ok := strings.CutPrefix(name, n.Name+"|"); ok && strings.ContainsRune(key, '|') {
			left[key] = true
		}
	}
	delete(left, "grad|input")
	for _, param := range params {
		key, value := "after|"+param.Name, param.Value
		if param.Trainable {
			key, value, grads = "grad|"+param.Name, grads[0], grads[1:]
		}
		if delete(left, key); value.DType() != torch.Int64 {
			worst = max(worst, g.checkDigest(t, n, key, value))
		}
	}
	for key := range left {
		t.Errorf("the network has no %s", key)
	}
	return worst
}

func (g Golden) checkDigest(t testing.TB, n Net, key string, v torch.Tensor) float64 {
	t.Helper()
	if !v.Defined() {
		t.Errorf("%s: there is none", key)
		return math.Inf(1)
	}
	return g.CheckDigest(t, n.Name+"|", key, v.Float64s(), n.Tol)
}

// CheckDigest compares norm and one inner product of v with those under prefix+key, which golden.py's digest made; both
// errors are relative to the norm.
func (g Golden) CheckDigest(t testing.TB, prefix, key string, v []float64, tol float64) float64 {
	t.Helper()
	want := g.Get(t, prefix+key).Float64s()
	var dot float64
	for i, f := range Formula(key, int64(len(v))) {
		dot += f * v[i]
	}
	norm := want[0]
	if norm < 1e-10 { // zero but for rounding, as of a bias in front of a normalisation
		norm = 1
	}
	worst := max(math.Abs(Norm(v)-want[0]), math.Abs(dot-want[1])) / norm
	if !(worst <= tol) {
		t.Errorf("%s%s: norm and product %g, %g, want %g, %g", prefix, key, Norm(v), dot, want[0], want[1])
	}
	return worst
}
