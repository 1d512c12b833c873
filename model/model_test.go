package model_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// small is the spec of a small network for images of 3×16×16.
func small(change func(*model.Spec)) model.Spec {
	s := model.Defaults()
	s.Net = zoo.Options{Name: "resnet32", Depth: 8, Width: 4}
	s.Head.Width, s.Threads = 4, 1
	s.Input = model.Input{Shape: nn.Shape{C: 3, H: 16, W: 16}, Classes: 4}
	if change != nil {
		change(&s)
	}
	return s
}

// Every registered method gets modules with the heads, and whatever else it names, and nothing is left when it is freed.
func TestEveryMethodHasAModel(t *testing.T) {
	for _, how := range method.All() {
		t.Run(how.Name, func(t *testing.T) {
			before := torch.LiveTensors()
			m, err := model.New(small(func(s *model.Spec) {
				s.Method.Name, s.Head.Widths = how.Name, []int{8, 8}
				if how.Cut == method.Everywhere {
					s.Net = zoo.Options{Name: "plain7", Depth: 4, Width: 4}
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			modules := m.Modules()
			want := map[method.Cut]int{method.Anywhere: 3, method.Nowhere: 1, method.Everywhere: len(m.Net.Blocks)}[how.Cut]
			if len(modules) != want || len(m.Cuts()) != want-1 {
				t.Errorf("%d modules with cuts %v, want %d modules", len(modules), m.Cuts(), want)
			}
			names := map[string]bool{}
			for _, p := range m.Params() {
				if names[p.Name] {
					t.Errorf("two parameters are named %s", p.Name)
				}
				names[p.Name] = true
			}
			if last := modules[len(modules)-1]; how.LastHead && !slices.Equal(nn.Params(m.Net.Classifier), nn.Params(last.Head)) {
				t.Error("the method's head is not the network's classifier")
			}
			if resting := m.RestingBytes(); resting <= 0 {
				t.Errorf("%d bytes at rest", resting)
			}
			m.Free()
			if n := torch.LiveTensors() - before; n != 0 {
				t.Errorf("%d tensors are left", n)
			}
		})
	}
}

// What cannot be built is a fault that names the key, and leaves no tensor.
func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		want   string
		change func(*model.Spec)
	}{
		{`method.name is "sgd"`, func(s *model.Spec) { s.Method.Name = "sgd" }},
		{`model.name is "resnet33"`, func(s *model.Spec) { s.Net.Name = "resnet33" }},
		{`head.name is "cnov"`, func(s *model.Spec) { s.Head.Name = "cnov" }},
		{"head.name is projector", func(s *model.Spec) { s.Head.Name = "projector" }},
		{"method.modules is 9", func(s *model.Spec) { s.Method.Modules = 9 }},
		{"method.cuts names", func(s *model.Spec) { s.Method.Cuts = []string{"layer9"} }},
		{"method.name is etf: needs blocks", func(s *model.Spec) { s.Method.Name = "etf" }},
		{"method.gradient is tangent", func(s *model.Spec) { s.Method.Gradient, s.Method.Checkpoint = "tangent", "blocks" }},
		{"head.name is conv: needs feature maps", func(s *model.Spec) { s.Net = zoo.Options{Name: "mlp"} }},
	} {
		before := torch.LiveTensors()
		_, err := model.New(small(tt.change))
		if !fault.Is(err) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("want a fault with %q, got %v", tt.want, err)
		}
		if n := torch.LiveTensors() - before; n != 0 {
			t.Errorf("%s: %d tensors are left", tt.want, n)
		}
	}
}

// Parts that do not fit together are told, and the network is freed.
func TestOfRefuses(t *testing.T) {
	for want, change := range map[string]func(*model.Parts){
		"must rise":           func(p *model.Parts) { p.Ends = []int{2, 1} },
		`Reduction is "half"`: func(p *model.Parts) { p.Rule.Term = &local.Reconcile{Lambda: 1, Reduction: "half"} },
		`Gradient is "fast"`:  func(p *model.Parts) { p.Rule.Term = &local.Reconcile{Lambda: 1, Gradient: "fast"} },
		"Lambda is NaN":       func(p *model.Parts) { p.Rule.Term = &local.Reconcile{Lambda: math.NaN()} },
		"Fraction is 0.5: must be 1 with": func(p *model.Parts) {
			p.Rule.Term = &local.Reconcile{Fraction: 0.5, Gradient: local.Tangent}
		},
		"Fraction is 2":      func(p *model.Parts) { p.Rule.Term = &local.Reconcile{Fraction: 2} },
		"number of blocks":   func(p *model.Parts) { p.Ends = p.Ends[:1] },
		"need local heads":   func(p *model.Parts) { p.Head = nil },
		"needs an objective": func(p *model.Parts) { p.Rule = local.Rule{} },
		"now 2 and 0":        func(p *model.Parts) { p.Graphs, p.Pipeline = true, 2 },
		"now 0 and 1":        func(p *model.Parts) { p.Graphs, p.Resident = true, 1 },
	} {
		before := torch.LiveTensors()
		parts, err := small(nil).Parts()
		if err != nil {
			t.Fatal(err)
		}
		change(&parts)
		if _, err := model.Of(parts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
		if n := torch.LiveTensors() - before; n != 0 {
			t.Errorf("%s: %d tensors are left", want, n)
		}
	}
}

// A registered network and head are found by name, and repeated names are refused.
func TestRegistered(t *testing.T) {
	zoo.Register(zoo.Model{Name: "test-line", Doc: "one linear layer a block", Width: 6, Depth: 2,
		Build: func(o zoo.Options, in nn.Shape, classes int, init nn.Init) (*zoo.Network, error) {
			width := in.C * in.H * in.W
			net := &zoo.Network{Name: o.Name, Input: in, Classes: classes, Classifier: nn.NewLinear(init.In("fc"), o.Width, classes)}
			for i, name := range []string{"a", "b"}[:o.Depth] {
				layers := nn.Sequential{nn.NewLinear(init.In(name), width, o.Width), nn.ReLU{}}
				if i == 0 {
					layers = append(nn.Sequential{nn.Flatten{}}, layers...)
				}
				net.Blocks = append(net.Blocks, nn.Block{Name: name, Layer: layers, Out: nn.Shape{C: o.Width}})
				width = o.Width
			}
			return net, nil
		}})
	zoo.RegisterHead(zoo.Head{Name: "test-head", Doc: "a linear layer",
		Build: func(_ zoo.HeadOptions, at zoo.Cut, init nn.Init) (nn.Layer, error) {
			return nn.NewLinear(init.In("own"), at.Out().C, at.Net.Classes), nil
		}})
	m, err := model.New(small(func(s *model.Spec) {
		s.Net, s.Head.Name, s.Method.Modules = zoo.Options{Name: "test-line"}, "test-head", 2
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	var names []string
	for _, p := range m.Params() {
		names = append(names, p.Name)
	}
	if want := []string{"a.weight", "a.bias", "b.weight", "b.bias", "fc.weight", "fc.bias", "heads.1.own.weight", "heads.1.own.bias"}; !slices.Equal(names, want) {
		t.Errorf("parameters %v, want %v", names, want)
	}
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	x := s.Full(torch.Float32, 0.5, 4, 3, 16, 16).Keep()
	if _, err := m.Learner.Step(x, s.FromInts([]int64{0, 1, 2, 3}).Keep(), local.Tick{LR: 0.1}); err != nil {
		t.Error(err)
	}
}

// A spec of which a program has filled in a name only trains as the one that a recipe has filled, and what no recipe may
// have is refused.
func TestSpecOfAProgram(t *testing.T) {
	bare := model.Spec{Input: model.Input{Shape: nn.Shape{C: 3, H: 16, W: 16}, Classes: 4}, Threads: 1}
	bare.Net = zoo.Options{Name: "resnet32", Depth: 8, Width: 4}
	bare.Method = method.Options{Name: "sgr", Modules: 3, Lambda: 0.01}
	bare.Optim.Name = "adamw"
	m, err := model.New(bare)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	for step := range 2 {
		if _, err := m.Learner.Step(s.Full(torch.Float32, 0.5, 4, 3, 16, 16).Keep(), s.FromInts([]int64{0, 1, 2, 3}).Keep(), local.Tick{Step: step, LR: 0.01}); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range m.Params() {
		if p.Trainable && !torch.AllFinite([]torch.Tensor{p.Value}) {
			t.Fatalf("%s is not finite", p.Name)
		}
	}
	if err := recipe.Validate(m.Spec); err != nil {
		t.Errorf("what was settled cannot be saved: %v", err)
	}
	for want, change := range map[string]func(*model.Spec){
		"model.width is -1":      func(s *model.Spec) { s.Net.Width = -1 },
		"model.depth is 1000000": func(s *model.Spec) { s.Net.Depth = 1000000 },
		"optim.eps is -1":        func(s *model.Spec) { s.Optim.Eps = -1 },
		"head.width is -4":       func(s *model.Spec) { s.Head.Width = -4 },
		"method.lambda is NaN":   func(s *model.Spec) { s.Method.Lambda = math.NaN() },
		"classes":                func(s *model.Spec) { s.Input.Classes = 0 },
		"-3":                     func(s *model.Spec) { s.Input.Shape.C = -3 },
	} {
		s := bare
		change(&s)
		if _, err := model.New(s); !fault.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("want a fault with %q, got %v", want, err)
		}
	}
}
