package local_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Transformers for the 8×8 images of these tests: 2×2 patches for ViT; for Swin maps of 8, 4, 2 and 1 cells, of which
// the first is padded and shifted.
var transformers = map[string]zoo.Options{
	"vit":  {Name: "vit_ti", Width: 12, Depth: 4, Patch: 2},
	"swin": {Name: "swin_t", Width: 12, Depth: 8, Patch: 1},
}

func eachTransformer(t *testing.T, f func(t *testing.T, net zoo.Options)) {
	for name, net := range transformers {
		for _, drop := range []float64{0, 0.5} {
			net.DropPath = drop
			t.Run(fmt.Sprintf("%s drop path %g", name, drop), func(t *testing.T) { f(t, net) })
		}
	}
}

// The term's gradient in float32 against a double backward in float64, and that against differences of gradients in
// float64: every layer can be differentiated twice, whatever stochastic depth leaves out.
func TestTermGradientOnTransformers(t *testing.T) {
	eachTransformer(t, func(t *testing.T, net zoo.Options) {
		fast := chain(t, net, sgr("directional"), torch.Float32)
		exact := chain(t, net, sgr("double"), torch.Float64)
		compareTerms(t, "float32", fast, exact, noise, bounds{0.9999, 2e-3})
		compareTerms(t, "float64", chain(t, net, sgr("directional"), torch.Float64), exact, noise, bounds{1 - 1e-9, 1e-4})
	})
}

// bfloat16 is coarser, and says the same. The directional gradient, which computes in float32, is not even coarser.
func TestTransformersInBFloat16(t *testing.T) {
	eachTransformer(t, func(t *testing.T, net zoo.Options) {
		exact := chain(t, net, sgr("double"), torch.Float64)
		compareTerms(t, "directional", chain(t, net, sgr("directional"), torch.BFloat16), exact, noise, bounds{0.999, 1e-2})
		compareTerms(t, "double", chain(t, net, sgr("double"), torch.BFloat16), exact, noise, bounds{0.9, 0.2})
	})
}

// Checkpointed blocks are run again with what stochastic depth left out the first time: the same results bit for bit.
func TestCheckpointedTransformersAreTheSame(t *testing.T) {
	eachTransformer(t, func(t *testing.T, net zoo.Options) {
		for _, o := range []method.Options{{Name: "bp", Modules: 1}, sgr("directional"), sgr("double")} {
			run := func(checkpoint string) state {
				o := o
				o.Checkpoint = checkpoint
				c := chain(t, net, o, torch.Float32)
				train(t, c, 3)
				return stateOf(c.Modules()...)
			}
			plain, checkpointed := run("none"), run("blocks")
			for name, want := range plain {
				if !slices.Equal(checkpointed[name], want) {
					t.Errorf("%s %s: %s differs", o.Name, o.Gradient, name)
				}
			}
		}
	})
}

func TestNoTensorOfATransformerOutlivesAStep(t *testing.T) {
	eachTransformer(t, func(t *testing.T, net zoo.Options) {
		for _, gradient := range []string{"directional", "double"} {
			c := chain(t, net, sgr(gradient), torch.Float32)
			train(t, c, 1)
			nothingLeft(t, func() { train(t, c, 3) })
			nothingLeft(t, func() {
				x, y := randomBatch(torch.Float32, 9)
				if _, err := c.Evaluate(x, y); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// What is dropped depends on the rule's seed, the module and the step, and on nothing else.
func TestStochasticDepthIsSeeded(t *testing.T) {
	net := transformers["vit"]
	net.DropPath = 0.5
	losses := func(seed uint64, steps int) []local.Stats {
		c := chain(t, net, method.Options{Name: "layerwise", Modules: 2}, torch.Float32)
		c.Rule.Seed = seed
		return train(t, c, steps)
	}
	first, again, other := losses(1, 2), losses(1, 2), losses(2, 2)
	for k := range first {
		if first[k].Loss != again[k].Loss {
			t.Errorf("module %d: the same seed gives losses %v and %v", k+1, first[k].Loss, again[k].Loss)
		}
	}
	if first[1].Loss == other[1].Loss {
		t.Error("another seed drops the same")
	}
}
