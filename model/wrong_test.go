package model_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// hidden is a linear layer from 4 values to 4, with parameters of a name, in a block of another one.
func hidden(block, name string) nn.Block {
	return nn.Block{Name: block, Layer: nn.Sequential{nn.NewLinear(nn.Init{Seed: 1}.In(name), 4, 4), nn.ReLU{}}, Out: nn.Shape{C: 4}}
}

// wired is a net of one's own in two modules of these blocks each.
func wired(classifier nn.Layer, first, second []nn.Block) model.Parts {
	return model.Parts{
		Net:  &zoo.Network{Name: "own", Input: nn.Shape{C: 4}, Classes: 3, Blocks: append(first, second...), Classifier: classifier},
		Ends: []int{len(first), len(first) + len(second)}, DType: torch.Float32, Init: nn.Init{Seed: 1},
		Rule: local.Rule{Objective: local.Classify{}, Term: local.None{}, Credit: local.Autograd{}},
		Head: func(at zoo.Cut, init nn.Init) (nn.Layer, error) {
			return nn.NewLinear(init.In("heads.1.fc"), at.Out().C, at.Net.Classes), nil
		},
		Optim: func(params []*nn.Param) optim.Optimizer {
			return optim.New(optim.Options{Name: "sgd", Momentum: 0.9}, params)
		},
	}
}

func classifier() nn.Layer { return nn.NewLinear(nn.Init{Seed: 1}.In("fc"), 4, 3) }

// What a net of one's own lacks, or has twice, is said when it is put together: two parameters of one name begin alike and
// cannot be saved, and two optimizers would move a parameter of two modules.
func TestOfRefusesWrongNets(t *testing.T) {
	a, b := func() []nn.Block { return []nn.Block{hidden("a", "a")} }, func() []nn.Block { return []nn.Block{hidden("b", "b")} }
	for want, parts := range map[string]func() model.Parts{
		"Parts.Net is nil":           func() model.Parts { return model.Parts{} },
		"has 0 blocks":               func() model.Parts { return wired(classifier(), nil, nil) },
		"the classifier <nil>":       func() model.Parts { return wired(nil, a(), b()) },
		`the name "a" and the layer`: func() model.Parts { return wired(classifier(), a(), []nn.Block{hidden("a", "b")}) },
		`the name "" and the layer`:  func() model.Parts { return wired(classifier(), a(), []nn.Block{hidden("", "b")}) },
		`"b" and the layer <nil>`:    func() model.Parts { return wired(classifier(), a(), []nn.Block{{Name: "b", Out: nn.Shape{C: 4}}}) },
		`have the name "a.weight"`:   func() model.Parts { return wired(classifier(), a(), []nn.Block{hidden("b", "a")}) },
		"in module 1 and in module 2": func() model.Parts {
			first := a()
			return wired(classifier(), first, []nn.Block{{Name: "b", Layer: first[0].Layer, Out: nn.Shape{C: 4}}})
		},
		"heads.1.fc.weight is in module 1 and in module 2": func() model.Parts {
			p := wired(classifier(), a(), b())
			p.LastHead = true
			return p
		},
		"a.weight is in module 1 and in module 1": func() model.Parts {
			p := wired(classifier(), a(), b())
			p.Head = func(zoo.Cut, nn.Init) (nn.Layer, error) { return nn.NewLinear(nn.Init{Seed: 1}.In("a"), 4, 3), nil }
			return p
		},
		"no layer for module 1": func() model.Parts {
			p := wired(classifier(), a(), b())
			p.Head = func(zoo.Cut, nn.Init) (nn.Layer, error) { return nil, nil }
			return p
		},
		"no optimizer for module 1": func() model.Parts {
			p := wired(classifier(), a(), b())
			p.Optim = func([]*nn.Param) optim.Optimizer { return nil }
			return p
		},
	} {
		before := torch.LiveTensors()
		if _, err := model.Of(parts()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
		if n := torch.LiveTensors() - before; n != 0 {
			t.Errorf("%s: %d tensors are left", want, n)
		}
	}
}

// A parameter that a module has twice, as the body and the head of a language model have their embedding, moves once a step, by the sum of
// both gradients.
func TestSharedWithinAModule(t *testing.T) {
	before := torch.LiveTensors()
	shared := nn.NewLinear(nn.Init{Seed: 1}.In("shared"), 4, 4)
	p := wired(shared, []nn.Block{{Name: "a", Layer: nn.Sequential{shared, nn.ReLU{}}, Out: nn.Shape{C: 4}}}, nil)
	p.Ends, p.Net.Classes = []int{1}, 4
	m, err := model.Of(p)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(m.Params()); n != 2 {
		t.Errorf("%d parameters, want a weight and a bias", n)
	}
	weight := m.Params()[0].Value
	was := weight.Float64s()
	s := torch.NewScope(torch.Grad)
	x := s.FromDoubles([]float64{1, 2, -1, 0.5, 0.3, -2, 1, 1}, 2, 4)
	x = s.Cast(x, torch.Float32)
	labels := s.FromInts([]int64{2, 0})
	layers := nn.Sequential{shared, nn.ReLU{}, shared}
	answers := layers.Forward(&nn.Pass{Scope: s, Mode: nn.Mode{Train: true}}, s.Alias(x))
	grad := s.Grad(s.CrossEntropy(answers, labels, 0), []torch.Tensor{weight}, torch.GradOptions{})[0].Float64s()
	kept, y := s.Detach(x).Keep(), s.Alias(labels).Keep()
	s.Close()
	if _, err := m.Learner.Step(kept, y, local.Tick{LR: 0.5}); err != nil {
		t.Fatal(err)
	}
	for i, now := range weight.Float64s() {
		if want := was[i] - 0.5*grad[i]; now-want > 1e-6 || want-now > 1e-6 {
			t.Errorf("weight %d is %g, want %g", i, now, want)
		}
	}
	m.Free()
	if n := torch.LiveTensors() - before; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
}

// What the engine refuses in a step names the module in which it is: there the author of a layer looks.
func TestRefusalNamesTheModule(t *testing.T) {
	before := torch.LiveTensors()
	for _, inFlight := range []int{0, 2} {
		narrow := nn.Block{Name: "c", Layer: nn.NewLinear(nn.Init{Seed: 1}.In("c"), 3, 4), Out: nn.Shape{C: 4}}
		p := wired(classifier(), []nn.Block{hidden("a", "a")}, []nn.Block{hidden("b", "b"), narrow})
		p.Pipeline, p.Threads = inFlight, 1
		m, err := model.Of(p)
		if err != nil {
			t.Fatal(err)
		}
		s := torch.NewScope(torch.NoGrad)
		x, y := s.Full(torch.Float32, 1, 2, 4).Keep(), s.FromInts([]int64{2, 0}).Keep()
		s.Close()
		_, err = m.Learner.Step(x, y, local.Tick{LR: 0.5})
		if err == nil {
			_, err = m.Learner.Drain()
		}
		if refused, ok := errors.AsType[*torch.Error](err); !ok || !strings.HasPrefix(err.Error(), "module 2 (b … c): ") || refused.Kind == torch.OutOfMemory {
			t.Errorf("with %d batches in flight: error %v", inFlight, err)
		}
		m.Free()
	}
	if n := torch.LiveTensors() - before; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
}

// A model that was built to infer says so when it is asked to learn.
func TestStepWithoutOptimizers(t *testing.T) {
	before := torch.LiveTensors()
	p := wired(classifier(), []nn.Block{hidden("a", "a")}, []nn.Block{hidden("b", "b")})
	p.Optim = nil
	m, err := model.Of(p)
	if err != nil {
		t.Fatal(err)
	}
	s := torch.NewScope(torch.NoGrad)
	x, y := s.Full(torch.Float32, 1, 2, 4).Keep(), s.FromInts([]int64{2, 0}).Keep()
	s.Close()
	if _, err := m.Learner.Step(x, y, local.Tick{LR: 0.5}); err == nil || !strings.Contains(err.Error(), "module 1 (a) has no optimizer: its model was built to infer") {
		t.Errorf("error %v", err)
	}
	m.Free()
	if n := torch.LiveTensors() - before; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
}
