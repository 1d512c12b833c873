package methodtest

import (
	"fmt"
	"slices"

	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// variants are networks, heads, optimizers and kinds of data beside those that the claims are tried on.
var variants = []struct {
	name, method string
	change       func(*model.Spec)
	soft         bool // labels are probabilities
}{
	{name: "resnet18", method: "sgr", change: onImage(32, zoo.Options{Name: "resnet18", Width: 4})},
	{name: "resnet50", method: "layerwise", change: onImage(64, zoo.Options{Name: "resnet50", Width: 4})},
	{name: "vgg11 with dropout", method: "layerwise", change: onImage(32, zoo.Options{Name: "vgg11", Width: 4, Dropout: 0.3})},
	{name: "vgg12", method: "layerwise", change: onImage(32, zoo.Options{Name: "vgg12", Width: 4})},
	{name: "convgroups", method: "sgr", change: onImage(32, zoo.Options{Name: "convgroups", Width: 4})},
	{name: "vit with stochastic depth", method: "sgr", change: func(s *model.Spec) {
		onImage(16, zoo.Options{Name: "vit_ti", Width: 12, Depth: 4, Patch: 4, DropPath: 0.2})(s)
		s.Head.Name = "tokens"
	}},
	{name: "swin", method: "layerwise", change: func(s *model.Spec) {
		onImage(8, zoo.Options{Name: "swin_t", Width: 12, Depth: 7, Patch: 1})(s)
		s.Head.Name = "tokens"
	}},
	{name: "conv32", method: "drtp", change: onImage(32, zoo.Options{Name: "conv32", Width: 24})},
	{name: "conv32_relu", method: "pepita", change: onImage(32, zoo.Options{Name: "conv32_relu", Width: 24})},
	{name: "mlp", method: "dfa", change: onImage(16, zoo.Options{Name: "mlp", Depth: 3, Width: 24})},

	{name: "linear head", method: "sgr", change: small(func(s *model.Spec) { s.Head.Name = "linear" })},
	{name: "auglocal head", method: "layerwise", change: small(func(s *model.Spec) { s.Head.Name = "auglocal" })},
	{name: "auglocal head, next", method: "sgr", change: small(func(s *model.Spec) {
		s.Head.Name, s.Head.Depth, s.Head.Sample = "auglocal", 1, "next"
	})},
	{name: "infopro head", method: "layerwise", change: small(func(s *model.Spec) { s.Head.Name = "infopro" })},

	{name: "momentum", method: "layerwise", change: small(func(s *model.Spec) {
		s.Optim = optim.Options{Name: "sgd", Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4}
	})},
	{name: "adamw", method: "sgr", change: small(func(s *model.Spec) {
		// Where a gradient is zero but for rounding, a small ε would make a step of the rounding's sign.
		s.Optim = optim.Options{Name: "adamw", WeightDecay: 0.05, Betas: []float64{0.9, 0.999}, Eps: 1e-3}
	})},
	{name: "lars", method: "sgr", change: small(func(s *model.Spec) {
		s.Optim = optim.Options{Name: "lars", Momentum: 0.9, WeightDecay: 1e-4, Decay: "weights", Trust: 0.02, Plain: 1}
	})},
	{name: "clip, accumulate, average", method: "layerwise", change: small(func(s *model.Spec) {
		s.Optim = optim.Options{Name: "sgd", Momentum: 0.9, Clip: 0.5, Accumulate: 2, EMA: 0.9}
	})},

	{name: "shifted", method: "sgr", change: small(func(s *model.Spec) { s.Method.Gradient = "shifted" })},
	{name: "tangent", method: "sgr", change: small(func(s *model.Spec) { s.Method.Gradient = "tangent" })},
	{name: "double", method: "sgr", change: small(func(s *model.Spec) { s.Method.Gradient = "double" })},
	{name: "raw gradients", method: "sgr", change: small(func(s *model.Spec) { s.Method.Normalize = false })},
	{name: "fraction", method: "sgr", change: small(func(s *model.Spec) { s.Method.Fraction = 0.5 })},
	{name: "checkpoints", method: "sgr", change: small(func(s *model.Spec) { s.Method.Checkpoint = "blocks" })},
	{name: "pipeline", method: "sgr", change: small(func(s *model.Spec) { s.Method.Pipeline = 2 })},
	{name: "smoothed labels", method: "layerwise", change: small(func(s *model.Spec) { s.Method.Smoothing = 0.1 })},
	{name: "mixed labels", method: "sgr", change: small(nil), soft: true},
	{name: "several labels", method: "sgr", soft: true, change: small(func(s *model.Spec) {
		s.Input.MultiLabel, s.Input.Samples, s.Loss.Name, s.Loss.Weights = true, 100, "bce", []string{"balanced"}
		s.Input.Counts = slices.Repeat([]int{20}, s.Input.Classes)
	})},
	{name: "focal loss, classes that count", method: "layerwise", change: small(func(s *model.Spec) {
		s.Loss.Name, s.Loss.Gamma, s.Loss.Weights = "focal", 2, []string{"balanced"}
		s.Input.Samples = 210
		for class := range s.Input.Classes {
			s.Input.Counts = append(s.Input.Counts, 10+2*class)
		}
	})},
	{name: "bfloat16", method: "layerwise", change: small(func(s *model.Spec) { s.DType = torch.BFloat16 })},
	{name: "images as they are", method: "infopro", change: small(func(s *model.Spec) { s.Input.Mean, s.Input.Std = nil, nil })},
}

// onImage puts a network on images of a side.
func onImage(side int, net zoo.Options) func(*model.Spec) {
	return func(s *model.Spec) { s.Net, s.Input.Shape = net, nn.Shape{C: 3, H: side, W: side} }
}

// small changes a spec of the suite's first network.
func small(change func(*model.Spec)) func(*model.Spec) {
	return func(s *model.Spec) {
		s.Net = nets[0]
		if change != nil {
			change(s)
		}
	}
}

// Variants lists subjects with further networks, heads, optimizers and kinds of data. [Run] tries the check "device" alone on
// them.
func Variants(seed uint64) ([]Subject, error) {
	var all []Subject
	for _, v := range variants {
		s := Subject{Name: v.method + ": " + v.name, spec: smallSpec(v.method, seed), soft: v.soft, only: "device"}
		v.change(&s.spec)
		r, err := s.trial(torch.Float32)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		r.free()
		all = append(all, s)
	}
	return all, nil
}
