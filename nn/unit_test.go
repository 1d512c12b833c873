package nn_test

import (
	"math"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
)

var unitInit = nn.Init{Seed: 3, Device: torch.CPU}

func random(s *torch.Scope, stream uint64, shape ...int64) torch.Tensor {
	t := s.Full(torch.Float64, 0, shape...)
	t.Normal(0, 1, stream)
	return t
}

// inner returns ⟨a, b⟩.
func inner(s *torch.Scope, a, b torch.Tensor) float64 { return s.Sum(s.Mul(a, b)).Item() }

// units covers both layers, strides, flattening, both nonlinearities and pools with and without own kernels.
func units() map[string]struct {
	unit *nn.Unit
	in   []int64
} {
	type c = struct {
		unit *nn.Unit
		in   []int64
	}
	pool := func(k, stride, padding int) *nn.MaxPool { return &nn.MaxPool{K: k, Stride: stride, Padding: padding} }
	linear := nn.NewLinear(unitInit.In("linear"), 3*6*6, 5)
	return map[string]c{
		"conv":           {&nn.Unit{Weigh: nn.NewConv2d(unitInit.In("a"), 3, 4, 3, 1), Act: nn.ReLU{}}, []int64{2, 3, 6, 6}},
		"conv stride 2":  {&nn.Unit{Weigh: nn.NewConv2d(unitInit.In("b"), 3, 4, 3, 2, nn.Bias(true)), Act: nn.Tanh{}}, []int64{2, 3, 7, 7}},
		"conv and pool":  {&nn.Unit{Weigh: nn.NewConv2d(unitInit.In("c"), 3, 4, 5, 1, nn.Bias(true), nn.Uniform()), Act: nn.Tanh{}, Pool: pool(2, 2, 0)}, []int64{2, 3, 6, 6}},
		"pools overlap":  {&nn.Unit{Weigh: nn.NewConv2d(unitInit.In("d"), 3, 4, 3, 1), Act: nn.ReLU{}, Pool: pool(3, 2, 1)}, []int64{2, 3, 6, 6}},
		"large pool":     {&nn.Unit{Weigh: nn.NewConv2d(unitInit.In("e"), 3, 4, 3, 1), Act: nn.ReLU{}, Pool: pool(17, 2, 0)}, []int64{2, 3, 18, 18}},
		"flat linear":    {&nn.Unit{Flat: true, Weigh: linear, Act: nn.Tanh{}}, []int64{2, 3, 6, 6}},
		"linear, vector": {&nn.Unit{Weigh: nn.NewLinear(unitInit.In("f"), 7, 5, nn.Bias(false)), Act: nn.ReLU{}}, []int64{2, 7}},
	}
}

// The closed forms of a unit's gradients are those of autograd, and its tangent is the adjoint of its gradient.
func TestUnitsClosedFormsAreAutograds(t *testing.T) {
	for name, c := range units() {
		t.Run(name, func(t *testing.T) {
			defer nn.Free(nn.Params(c.unit))
			for _, p := range nn.Params(c.unit) {
				p.Convert(torch.Float64)
			}
			s := torch.NewScope(torch.Grad)
			defer s.Close()
			x := random(s, 1, c.in...).SetRequiresGrad(true)
			p := nn.Train(s, torch.Float64, nil)
			out := c.unit.Forward(p, s.Alias(x))
			probe := random(s, 2, out.Shape()...)
			want := s.Grad(out, append([]torch.Tensor{x}, nn.Trainable(nn.Params(c.unit))...), torch.GradOptions{Output: probe})

			quiet := torch.NewScope(torch.NoGrad)
			defer quiet.Close()
			q := nn.Train(quiet, torch.Float64, nil)
			trace := c.unit.Trace(q, x)
			nntest.Close(t, "output", trace.Out, out, 1e-12)
			a := c.unit.Slope(q, trace, c.unit.Unpool(q, trace, probe))
			nntest.Close(t, "input gradient", c.unit.ToInput(q, trace, a, x), want[0], 1e-12)
			for i, g := range nn.ToWeights(q, c.unit.Weigh, a, trace.X) {
				nntest.Close(t, "parameter gradient", g, want[i+1], 1e-12)
			}

			v := random(quiet, 3, trace.X.Shape()...)
			tangent := c.unit.Push(q, trace, c.unit.Slope(q, trace, nn.Times(q, c.unit.Weigh, v)))
			forward := inner(quiet, tangent, probe)
			back := inner(quiet, v, nn.ToInput(q, c.unit.Weigh, a, trace.X))
			if math.Abs(forward-back) > 1e-10*math.Abs(back) {
				t.Errorf("⟨J v, d⟩ = %v, ⟨v, Jᵀ d⟩ = %v", forward, back)
			}
		})
	}
}

// σ″ is the derivative of σ′.
func TestTanhBend(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	p := nn.Evaluate(s, torch.Float64)
	const h = 1e-5
	slope := func(shift float64) torch.Tensor {
		z := random(s, 1, 20)
		z.Increment(shift)
		return nn.Tanh{}.Slope(p, s.Tanh(z), s.Full(torch.Float64, 1, 20))
	}
	want := s.Scale(s.Add(slope(h), slope(-h), -1), 1/(2*h))
	nntest.Close(t, "σ″", nn.Tanh{}.Bend(p, s.Tanh(random(s, 1, 20)), s.Full(torch.Float64, 1, 20)), want, 1e-8)
}

// A readout takes gradients back to its input as autograd does, also where cells are not all of one size.
func TestReadoutSpreads(t *testing.T) {
	for name, c := range map[string]struct {
		head nn.Layer
		in   []int64
	}{
		"mean":         {nn.Sequential{nn.AvgPool{Side: 1}, nn.Flatten{}, nn.NewLinear(unitInit, 3, 4)}, []int64{2, 3, 6, 6}},
		"cells":        {nn.Sequential{nn.AvgPool{Side: 2}, nn.Flatten{}, nn.NewLinear(unitInit, 12, 4)}, []int64{2, 3, 6, 6}},
		"uneven cells": {nn.Sequential{nn.AvgPool{Side: 2}, nn.Flatten{}, nn.NewLinear(unitInit, 12, 4)}, []int64{2, 3, 5, 5}},
		"flat":         {nn.Sequential{nn.Flatten{}, nn.NewLinear(unitInit, 12, 4)}, []int64{2, 3, 2, 2}},
		"vector":       {nn.NewLinear(unitInit, 5, 4), []int64{2, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			defer nn.Free(nn.Params(c.head))
			for _, p := range nn.Params(c.head) {
				p.Convert(torch.Float64)
			}
			r, ok := nn.AsReadout(c.head)
			if !ok {
				t.Fatal("it is none")
			}
			s := torch.NewScope(torch.Grad)
			defer s.Close()
			p := nn.Evaluate(s, torch.Float64)
			x := random(s, 1, c.in...).SetRequiresGrad(true)
			logits := c.head.Forward(p, s.Alias(x))
			d := random(s, 2, logits.Shape()...)
			want := s.Grad(logits, []torch.Tensor{x}, torch.GradOptions{Output: d})[0]
			h := r.Features(p, s.Detach(x))
			nntest.Close(t, "gradient", r.Spread(p, nn.ToInput(p, r.Linear, d, h), x), want, 1e-12)
		})
	}
	if _, ok := nn.AsReadout(nn.Sequential{nn.NewLinear(unitInit, 5, 4), nn.ReLU{}}); ok {
		t.Error("a nonlinearity behind the linear layer is none")
	}
}
