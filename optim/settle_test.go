package optim_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// Zeros that mean nothing are the defaults, bit for bit; whatever New takes Validate accepts, and whatever it refuses New
// panics on.
func TestZerosAreDefaults(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		given, same optim.Options
	}{
		{optim.Options{LR: 0.1}, optim.Options{Name: "sgd", LR: 0.1, Decay: "all", Accumulate: 1}},
		{optim.Options{Name: "adamw"}, optim.Options{Name: "adamw", Betas: []float64{0.9, 0.999}, Eps: 1e-8}},
		{optim.Options{Name: "adamw", Betas: []float64{0.5, 0.9}}, optim.Options{Name: "adamw", Betas: []float64{0.5, 0.9}, Eps: 1e-8}},
		{optim.Options{Name: "lars", Decay: "weights"}, optim.Options{Name: "lars", Decay: "weights", Trust: 0.001, Plain: 1}},
	} {
		var got [2][]byte
		for i, o := range []optim.Options{tt.given, tt.same} {
			if err := o.Validate(); err != nil {
				t.Errorf("%+v: %v", o, err)
			}
			s := torch.NewScope(torch.NoGrad)
			p := &nn.Param{Name: "w", Value: s.FromFloats([]float32{1, -2, 3, 0}, 2, 2), Trainable: true}
			opt := optim.New(o, []*nn.Param{p})
			for range 3 {
				opt.Step([]torch.Tensor{s.FromFloats([]float32{0, 0.5, -1, 0}, 2, 2)}, 0.1)
			}
			if !torch.AllFinite([]torch.Tensor{p.Value}) {
				t.Errorf("%+v: weights are %v", o, p.Value.Float64s())
			}
			got[i] = p.Value.Data()
			opt.Free()
			s.Close()
		}
		if !bytes.Equal(got[0], got[1]) {
			t.Errorf("%+v trains otherwise than %+v", tt.given, tt.same)
		}
	}
	for key, o := range map[string]optim.Options{
		"optim.name": {Name: "adam"}, "optim.betas is": {Name: "adamw", Betas: []float64{0.9}}, "optim.betas[1]": {Betas: []float64{0.9, 1}},
		"optim.eps": {Name: "adamw", Eps: -1}, "optim.lr": {LR: nan}, "optim.momentum": {Momentum: 2}, "optim.weight_decay": {WeightDecay: -1},
		"optim.decay": {Decay: "some"}, "optim.accumulate": {Accumulate: -1}, "optim.ema": {EMA: 1}, "optim.clip": {Clip: nan},
		"optim.trust": {Trust: nan}, "optim.plain": {Plain: -1},
	} {
		if err := o.Validate(); !fault.Is(err) || !strings.HasPrefix(err.Error(), key) {
			t.Errorf("%+v: want a fault about %s, got %v", o, key, err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v: New takes what Validate refuses", o)
				}
			}()
			optim.New(o, nil)
		}()
	}
}
