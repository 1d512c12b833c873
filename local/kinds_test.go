package local_test

import (
	"fmt"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// kinds are modules of each kind of layer on images of 3×8×8.
var kinds = []struct {
	name string
	body func(i nn.Init) nn.Layer
	out  int // features behind the body, pooled to 2×2 where they are maps
	maps bool
}{
	{"convolution and ReLU", func(i nn.Init) nn.Layer {
		return nn.Sequential{nn.NewConv2d(i.In("conv"), 3, 8, 3, 1), nn.ReLU{}}
	}, 8, true},
	{"strided convolution, normalisation and ReLU", func(i nn.Init) nn.Layer {
		return nn.NewConvNormReLU(i, "conv", "bn", 3, 8, 3, 2)
	}, 8, true},
	{"normalisation without ReLU", func(i nn.Init) nn.Layer {
		return nn.Sequential{nn.NewConv2d(i.In("conv"), 3, 8, 1, 1), nn.NewBatchNorm2d(i.In("bn"), 8)}
	}, 8, true},
	{"max pooling", func(i nn.Init) nn.Layer {
		return nn.Sequential{nn.NewConvNormReLU(i, "conv", "bn", 3, 8, 3, 1), nn.MaxPool{K: 3, Stride: 2, Padding: 1}}
	}, 8, true},
	{"average pooling", func(i nn.Init) nn.Layer {
		return nn.Sequential{nn.NewConvNormReLU(i, "conv", "bn", 3, 8, 3, 1), nn.AvgPool{Side: 4}}
	}, 8, true},
	{"normalisation and GELU", func(i nn.Init) nn.Layer {
		return nn.Sequential{nn.NewConv2d(i.In("conv"), 3, 8, 3, 1), nn.NewBatchNorm2d(i.In("bn"), 8), nn.GELU{}}
	}, 8, true},
	{"linear and ReLU", func(i nn.Init) nn.Layer {
		return nn.Sequential{nn.Flatten{}, nn.NewLinear(i.In("fc"), 3*8*8, 32), nn.ReLU{}}
	}, 32, false},
}

// The term's gradient of every kind of layer against a double backward in float64, in both precisions: untrained, and
// trained to a loss of 1e-2 and of 1e-3.
func TestTermGradientOfEveryKindOfLayer(t *testing.T) {
	defer torch.Pin()()
	for _, kind := range kinds {
		for _, c := range []struct {
			way            local.Way
			dtype          torch.DType
			early, trained bounds
		}{
			{local.Directional, torch.Float32, bounds{0.9999, 1e-3}, bounds{0.999, 3e-2}},
			{local.Directional, torch.BFloat16, bounds{0.9999, 1e-3}, bounds{0.999, 3e-2}},
			{local.Tangent, torch.Float64, bounds{1 - 1e-12, 1e-9}, bounds{1 - 1e-12, 1e-9}},
			{local.Tangent, torch.Float32, bounds{1 - 1e-6, 1e-4}, bounds{1 - 1e-6, 1e-4}},
			{local.Tangent, torch.BFloat16, bounds{0.999, 1e-2}, bounds{0.99, 0.15}},
		} {
			t.Run(fmt.Sprintf("%s %s %v", kind.name, c.way, c.dtype), func(t *testing.T) {
				fast, exact := pairOf(t, kind.body, kind.out, kind.maps, c.dtype, c.way)
				compareTerms(t, "untrained", fast, exact, noise, c.early)
				for _, loss := range []float64{1e-2, 1e-3} {
					memorise(t, fast, noise, loss)
					compareTerms(t, fmt.Sprintf("trained to %g", loss), fast, exact, noise, c.trained)
				}
			})
		}
	}
}

// undecayed lets losses fall as far as they go.
func undecayed(params []*nn.Param) optim.Optimizer {
	return optim.New(optim.Options{Name: "sgd", Momentum: 0.9}, params)
}

// pairOf puts a body, as module 2, behind a 1×1 convolution, as module 1: once in dtype with the directional gradient,
// once in float64 with a double backward.
func pairOf(t *testing.T, body func(nn.Init) nn.Layer, out int, maps bool, dtype torch.DType, way local.Way) (fast, exact *local.Chain) {
	build := func(dtype torch.DType, way local.Way) *local.Chain {
		i := nn.Init{Seed: 5, Device: torch.CPU}
		head := func(name string, features int, maps bool) nn.Layer {
			if !maps {
				return nn.NewLinear(i.In(name), features, classes)
			}
			return nn.Sequential{nn.AvgPool{Side: 2}, nn.Flatten{}, nn.NewLinear(i.In(name), 4*features, classes)}
		}
		first := nn.Sequential{nn.NewConv2d(i.In("first"), 3, 3, 1, 1), nn.NewBatchNorm2d(i.In("norm"), 3)}
		all := []*local.Module{
			local.NewModule(1, false, []nn.Block{{Name: "first", Layer: first}}, head("head", 3, true), nil, undecayed),
			local.NewModule(2, true, []nn.Block{{Name: "body", Layer: body(i.In("body"))}}, head("fc", out, maps), nil, undecayed),
		}
		for _, m := range all {
			t.Cleanup(m.Free)
			if dtype == torch.Float64 {
				for _, p := range m.Params {
					p.Convert(dtype)
				}
				m.Refresh(undecayed)
			}
		}
		rule := local.Rule{
			Objective: local.Classify{}, Credit: local.Autograd{},
			Term: &local.Reconcile{Lambda: 1, Normalize: true, Reduction: local.Batch, Gradient: way},
		}
		return local.NewChain(all, rule, local.Together{}, dtype)
	}
	return build(dtype, way), build(torch.Float64, local.Double)
}
