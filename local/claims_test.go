package local_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Feedback alignment whose feedback is the weights themselves is back-propagation, bit for bit.
func TestFeedbackOfTheWeightsIsBackPropagation(t *testing.T) {
	for _, net := range []string{"plain7", "resnet32", "conv32", "mlp", "vit"} {
		t.Run(net, func(t *testing.T) {
			bp := unitChain(t, method.Options{Name: "bp"}, net, torch.Float32)
			fa := unitChain(t, method.Options{Name: "fa"}, net, torch.Float32)
			feedback := fa.Modules()[0].Aux.(*nn.Feedback)
			align := func() {
				for _, p := range fa.Modules()[0].Params {
					if back := feedback.Of(p); back != nil {
						back.Value.Copy(p.Value)
					}
				}
			}
			for step := range 3 {
				align()
				for _, c := range []*local.Chain{bp, fa} {
					x, y := randomBatch(torch.Float32, uint64(step))
					if _, err := c.Step(x, y, local.Tick{Step: step, LR: 0.05}); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, want := stateOf(fa.Modules()...), stateOf(bp.Modules()...)
			for name := range want {
				if !slices.Equal(got[name], want[name]) {
					t.Errorf("%s differs", name)
				}
			}
		})
	}
}

// Without the weights' help gradients are others', but for the last layer's.
func TestFeedbackMatters(t *testing.T) {
	bp := unitChain(t, method.Options{Name: "bp"}, "plain7", torch.Float32)
	fa := unitChain(t, method.Options{Name: "fa"}, "plain7", torch.Float32)
	train(t, bp, 1)
	train(t, fa, 1)
	got, want := stateOf(fa.Modules()...), stateOf(bp.Modules()...)
	for name := range want {
		if same := reflect.DeepEqual(got[name], want[name]); same != strings.HasPrefix(name, "fc.") {
			t.Errorf("%s the same is %v", name, same)
		}
	}
}

// Eq. 35 as printed leaves out how ∂L/∂y depends on W, and so does not point along the term's gradient.
func TestEq35IsAPartOfTheGradient(t *testing.T) {
	for _, net := range []string{"plain7", "mlp"} {
		term := func(gradient string) [][]float64 {
			o := method.Options{Name: "etf-sgr", Gradient: gradient, Reduction: "sum", Lambda: 1}
			with, without := unitChain(t, o, net, torch.Float64), unitChain(t, method.Options{Name: "etf"}, net, torch.Float64)
			train(t, with, 1)
			train(t, without, 1)
			a, b := stateOf(with.Modules()...), stateOf(without.Modules()...)
			var all [][]float64
			for _, m := range with.Modules()[1:] {
				name := m.Params[0].Name
				all = append(all, minus(a[name], b[name]))
			}
			return all
		}
		paper, exact := term("paper"), term("exact")
		for i := range exact {
			cos, ratio := cosine(paper[i], exact[i])
			if !(cos > 0 && cos < 0.9999) {
				t.Errorf("%s, module %d: cosine %v", net, i+2, cos)
			}
			t.Logf("%s, module %d: cosine %.4f with the exact gradient, %.3f of its length", net, i+2, cos, ratio)
		}
	}
}

// In closed form, too, no λ is no term, and pipelines compute what lock-step does.
func TestClosedFormsCompose(t *testing.T) {
	etf := unitChain(t, method.Options{Name: "etf"}, "plain7", torch.Float32)
	zero := unitChain(t, method.Options{Name: "etf-sgr", Reduction: "batch", Normalize: true}, "plain7", torch.Float32)
	stats := train(t, zero, 3)
	train(t, etf, 3)
	if !reflect.DeepEqual(stateOf(etf.Modules()...), stateOf(zero.Modules()...)) {
		t.Error("λ = 0 changes weights")
	}
	if last := stats[len(stats)-1]; math.IsNaN(last.Cos) {
		t.Error("λ = 0 measures nothing")
	}
	o := method.Options{Name: "etf-sgr", Reduction: "batch", Normalize: true, Lambda: 0.1}
	torch.SetThreads(1)
	defer torch.SetThreads(0)
	alone, worked := unitChain(t, o, "plain7", torch.Float32), unitChain(t, o, "plain7", torch.Float32)
	for _, l := range []local.Learner{alone, pipeline(t, worked, 3, 1)} {
		if _, err := feed(l, 0, 3, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(stateOf(alone.Modules()...), stateOf(worked.Modules()...)) {
		t.Error("a pipeline computes something else")
	}
}

// Every method takes a finite step in bfloat16 and leaves nothing behind.
func TestUnitMethodsInBFloat16(t *testing.T) {
	for _, name := range []string{"etf", "etf-sgr", "etf-reforward", "fa", "dfa", "drtp", "pepita"} {
		t.Run(name, func(t *testing.T) {
			o := method.Options{Name: name, Reduction: "batch", Normalize: true, Lambda: 0.1, Feedback: 1}
			c := unitChain(t, o, "conv32", torch.BFloat16)
			nothingLeft(t, func() { train(t, c, 2) })
		})
	}
}

// Where modules wait for the network's error, or there is one module alone, batches cannot be in flight beside each other.
func TestPipelinesThatWaitAreRefused(t *testing.T) {
	for name, refused := range map[string]bool{"dfa": true, "pepita": true, "fa": true, "drtp": false, "etf": false, "etf-sgr": false} {
		_, _, err := method.Lookup(method.Options{Name: name, Pipeline: 2, Modules: 1})
		if (err != nil) != refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGradientOptionsBelongToMethods(t *testing.T) {
	for _, tt := range []struct {
		name, gradient string
		fits           bool
	}{
		{"sgr", "auto", true}, {"sgr", "double", true}, {"sgr", "paper", false}, {"etf-sgr", "auto", true},
		{"etf-sgr", "paper", true}, {"etf-sgr", "directional", false}, {"layerwise", "exact", false},
	} {
		if _, _, err := method.Lookup(method.Options{Name: tt.name, Modules: 3, Gradient: tt.gradient}); (err == nil) != tt.fits {
			t.Errorf("%s with %s: %v", tt.name, tt.gradient, err)
		}
	}
}
