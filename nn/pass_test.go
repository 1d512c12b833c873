package nn_test

import (
	"slices"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// TestPassModes tells the makers of passes apart by what a batch of mean 2 and variance 1 makes of a fresh BatchNorm, and
// of its running mean: a tenth of the way towards each view's mean.
func TestPassModes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pass  func(s *torch.Scope) *nn.Pass
		first float64 // of the output
		mean  float64 // the running one, afterwards
	}{
		{"evaluate", func(s *torch.Scope) *nn.Pass { return nn.Evaluate(s, torch.Float64) }, 1, 0},
		{"train", func(s *torch.Scope) *nn.Pass { return nn.Train(s, torch.Float64, nil) }, -1, 0.2},
		{"train over two views", func(s *torch.Scope) *nn.Pass { return nn.Train(s, torch.Float64, nil).Over(2) }, -1, 0.38},
		{"repeat", func(s *torch.Scope) *nn.Pass { return nn.Repeat(s, torch.Float64, nil) }, -1, 0},
		{"repeat over two views", func(s *torch.Scope) *nn.Pass { return nn.Repeat(s, torch.Float64, nil).Over(2) }, -1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := torch.NewScopeOn(torch.CPU, torch.NoGrad)
			defer s.Close()
			norm := nn.NewBatchNorm2d(nn.Init{Seed: 1, Device: torch.CPU}.In("bn"), 1)
			defer nn.Free(nn.Params(norm))
			for _, p := range nn.Params(norm) {
				p.Convert(torch.Float64)
			}
			y := tt.pass(s).Run(norm, s.FromDoubles([]float64{1, 3, 1, 3}, 4, 1, 1, 1)).Float64s()
			if !near(y[0], tt.first) {
				t.Errorf("the first value becomes %v, want %v", y[0], tt.first)
			}
			params := nn.Params(norm)
			i := slices.IndexFunc(params, func(p *nn.Param) bool { return p.Name == "bn.running_mean" })
			if mean := params[i].Value.Float64s()[0]; !near(mean, tt.mean) {
				t.Errorf("the running mean is %v, want %v", mean, tt.mean)
			}
		})
	}
}

// TestTrainDraws: equal streams leave the same out, and evaluation leaves out nothing.
func TestTrainDraws(t *testing.T) {
	s := torch.NewScopeOn(torch.CPU, torch.NoGrad)
	defer s.Close()
	run := func(p *nn.Pass) []float64 {
		return nn.Dropout{Rate: 0.5}.Forward(p, s.Full(torch.Float32, 1, 64)).Float64s()
	}
	train, again := run(nn.Train(s, torch.Float32, nn.NewDraws(7))), run(nn.Repeat(s, torch.Float32, nn.NewDraws(7)))
	if !slices.Equal(train, again) {
		t.Error("Repeat leaves out something else than Train did, from the same stream")
	}
	if !slices.Contains(train, 0) {
		t.Error("dropout of one half leaves out none of 64")
	}
	if slices.Contains(run(nn.Evaluate(s, torch.Float32)), 0) {
		t.Error("evaluation leaves something out")
	}
}

// near allows for the ε in a normalisation.
func near(a, b float64) bool { return a-b < 1e-4 && b-a < 1e-4 }
