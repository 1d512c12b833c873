package optim_test

import (
	"slices"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// three returns parameters a, b and c of 1, 2 and 3.
func three(s *torch.Scope) (params []*nn.Param) {
	for i, name := range []string{"a", "b", "c"} {
		value := s.Full(torch.Float32, float64(i+1), 2, 2).SetRequiresGrad(true)
		params = append(params, &nn.Param{Name: name, Value: value, Trainable: true})
	}
	return params
}

// stepped takes a step a rate and returns the parameters. Gradients of the parameters in without are missing.
func stepped(t *testing.T, o optim.Options, of func(*nn.Param) optim.Group, without string, rates ...float64) (all [][]float64) {
	t.Helper()
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	params := three(s)
	opt := optim.NewGrouped(o, params, of)
	defer opt.Free()
	for _, rate := range rates {
		var grads []torch.Tensor
		for i, p := range params {
			g := s.Full(torch.Float32, float64(3-i), 2, 2)
			if p.Name == without {
				g = torch.Tensor{}
			}
			grads = append(grads, g)
		}
		opt.Step(grads, rate)
	}
	names := map[string]bool{}
	for _, state := range opt.State() {
		if names[state.Name] {
			t.Errorf("%s: state %s comes twice", o.Name, state.Name)
		}
		names[state.Name] = true
	}
	for _, p := range params {
		all = append(all, p.Value.Float64s())
	}
	return all
}

func flat(*nn.Param) optim.Group { return optim.Group{Rate: 1} }

// Parameters with a factor move as if the learning rate were so much of it, whatever the optimizer.
func TestAGroupHasAFactorOfTheRate(t *testing.T) {
	for _, name := range []string{"sgd", "adamw", "lars"} {
		o := optim.Options{Name: name, Momentum: 0.9, WeightDecay: 0.01, EMA: 0.5}
		quarter := func(p *nn.Param) optim.Group {
			return optim.Group{Rate: map[string]float64{"a": 0.25, "b": 1, "c": 0.25}[p.Name]}
		}
		got := stepped(t, o, quarter, "", 0.4, 0.2)
		slow, fast := stepped(t, o, flat, "", 0.1, 0.05), stepped(t, o, flat, "", 0.4, 0.2)
		if !slices.Equal(got[0], slow[0]) || !slices.Equal(got[1], fast[1]) || !slices.Equal(got[2], slow[2]) {
			t.Errorf("%s: %v, want a and c of %v, b of %v", name, got, slow, fast)
		}
	}
}

// A group that is apart may miss its gradients: it stays as it is, without decay or momentum, and the others move as alone.
func TestAGroupApartMayStandStill(t *testing.T) {
	apart := func(p *nn.Param) optim.Group { return optim.Group{Rate: 1, Apart: p.Name == "c"} }
	for _, o := range []optim.Options{
		{Name: "sgd", Momentum: 0.9, WeightDecay: 0.01}, {Name: "adamw", WeightDecay: 0.01, EMA: 0.5}, {Name: "sgd", Accumulate: 2, WeightDecay: 0.01},
	} {
		got, whole := stepped(t, o, apart, "c", 0.4, 0.2), stepped(t, o, flat, "", 0.4, 0.2)
		if !slices.Equal(got[0], whole[0]) || !slices.Equal(got[1], whole[1]) {
			t.Errorf("%+v: %v, want a and b of %v", o, got, whole)
		}
		if want := []float64{3, 3, 3, 3}; !slices.Equal(got[2], want) {
			t.Errorf("%+v: c is %v, want %v", o, got[2], want)
		}
	}
	clipped := stepped(t, optim.Options{Name: "sgd", Clip: 1}, apart, "c", 1)
	if moved := 1 - clipped[0][0]; moved < 0.41 || moved > 0.42 { // 3/√(4·3² + 4·2²) of one
		t.Errorf("a moved by %g: the clip must see the gradients that are there", moved)
	}
}

// What does not learn has no state.
func TestNothingToLearnHasNoState(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	params := three(s)
	nn.Hold(params)
	before := torch.LiveBytes()
	opt := optim.New(optim.Options{Name: "adamw", EMA: 0.9}, params)
	opt.Step(nil, 1)
	if n := len(opt.State()); n > 0 || torch.LiveBytes() != before {
		t.Errorf("%d states, %d bytes", n, torch.LiveBytes()-before)
	}
}
