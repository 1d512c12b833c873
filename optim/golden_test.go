package optim_test

import (
	"fmt"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// The rates are those of sgd.py: a changing rate shows where momentum and rate are multiplied.
var rates = []float64{0.1, 0.1, 0.05, 0.02, 0.3}

func TestSGDAgreesWithPyTorch(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	g := nntest.Open(t, s, "testdata/sgd.safetensors")
	for _, v := range []struct {
		name string
		o    optim.Options
	}{
		{"plain", optim.Options{}},
		{"decay", optim.Options{WeightDecay: 0.05}},
		{"momentum", optim.Options{Momentum: 0.9}},
		{"momentum_decay", optim.Options{Momentum: 0.9, WeightDecay: 0.05}},
		{"nesterov", optim.Options{Momentum: 0.9, Nesterov: true}},
		{"nesterov_decay", optim.Options{Momentum: 0.8, Nesterov: true, WeightDecay: 0.05}},
	} {
		t.Run(v.name, func(t *testing.T) { checkSGD(t, g, v.name, v.o) })
	}
}

func checkSGD(t *testing.T, g nntest.Golden, variant string, o optim.Options) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	params := []*nn.Param{
		{Name: "weight", Value: s.Clone(g.Get(t, "start|weight")).SetRequiresGrad(true), Trainable: true},
		{Name: "running_mean", Value: s.Clone(g.Get(t, "start|bias"))}, // no gradient is given for a buffer
		{Name: "bias", Value: s.Clone(g.Get(t, "start|bias")).SetRequiresGrad(true), Trainable: true},
	}
	o.Name = "sgd"
	sgd := optim.New(o, params)
	defer sgd.Free()
	var worst float64
	for i, rate := range rates {
		grad := func(name string) torch.Tensor { return s.Clone(g.Get(t, fmt.Sprintf("grad|%d|%s", i, name))) }
		sgd.Step([]torch.Tensor{grad("weight"), grad("bias")}, rate)
		for _, p := range []*nn.Param{params[0], params[2]} {
			worst = max(worst, nntest.Close(t, p.Name, p.Value, g.Get(t, fmt.Sprintf("%s|%d|%s", variant, i, p.Name)), 1e-6))
		}
	}
	if !params[1].Value.Equal(g.Get(t, "start|bias")) {
		t.Error("the optimizer has changed a buffer")
	}
	state := sgd.State()
	if want := 2; o.Momentum != 0 && len(state) != want {
		t.Errorf("%d tensors of state, want %d", len(state), want)
	}
	for _, b := range state {
		worst = max(worst, nntest.Close(t, b.Name, b.Value, g.Get(t, variant+"|state|"+b.Name), 1e-6))
	}
	t.Logf("worst relative error %.1e", worst)
}
