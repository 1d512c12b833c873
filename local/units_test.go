package local_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// unitNets are the networks of units.py, and one of another kind.
var unitNets = map[string]zoo.Options{
	"plain7":      {Name: "plain7", Width: 4},
	"conv32":      {Name: "conv32", Width: 12},
	"conv32_relu": {Name: "conv32_relu", Width: 6},
	"mlp":         {Name: "mlp", Depth: 3, Width: 12},
	"resnet32":    {Name: "resnet32", Depth: 8, Width: 4},
	"vit":         {Name: "vit_ti", Depth: 2, Width: 12, Patch: 4},
}

// unitOptions reads a case of units.py: a method with its choices, and the network at the end.
func unitOptions(name string) (o method.Options, net string) {
	words := strings.Fields(name)
	o = method.Options{Name: words[0], Feedback: 1, Normalize: true}
	for _, w := range words[1:] {
		switch w {
		case "exact", "paper":
			o.Gradient = w
		case "first", "second":
			o.OutputError = w
		case "mean", "batch", "sum":
			o.Reduction = w
		case "raw":
			o.Normalize = false
		}
	}
	return o, words[len(words)-1]
}

// unitChain composes a method over one of unitNets.
func unitChain(t testing.TB, o method.Options, net string, dtype torch.DType) *local.Chain {
	t.Helper()
	how, o, err := method.Lookup(o)
	if err != nil {
		t.Fatal(err)
	}
	n, err := zoo.New(unitNets[net], images, classes, nn.Init{Seed: 1, Device: torch.CPU})
	if err != nil {
		t.Fatal(err)
	}
	k := len(n.Blocks)
	nn.Free(n.Params())
	if how.Cut == method.Nowhere {
		k = 1
	}
	return compose(assemble(t, unitNets[net], how, k, zoo.HeadOptions{Name: "linear"}), how, o, dtype)
}

// Two steps of every method hold to units.py in float64: losses and every parameter's update.
func TestUnitMethodsAgreeWithPyTorch(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	g := nntest.Open(t, s, "testdata/units.safetensors")
	cases := 0
	for key := range g {
		name, ok := strings.CutSuffix(key, "|0|loss")
		if !ok {
			continue
		}
		cases++
		t.Run(name, func(t *testing.T) {
			o, net := unitOptions(name)
			if lambda, ok := g[name+"|lambda"]; ok {
				o.Lambda = lambda.Item()
			}
			c := unitChain(t, o, net, torch.Float64)
			for _, m := range c.Modules() {
				nntest.Fill(m.Params)
			}
			worst := 0.0
			for i := range 2 {
				before := stateOf(c.Modules()...)
				x, y := formulaBatch(s, i, 0.45, 0.3)
				left, err := c.Step(x, y, local.Tick{Step: i, LR: 0.1})
				if err != nil {
					t.Fatal(err)
				}
				prefix := fmt.Sprintf("%s|%d|", name, i)
				checkLosses(t, g.Get(t, prefix+"loss").Float64s(), left[0].Stats)
				for _, m := range c.Modules() {
					for _, p := range m.Params {
						v := p.Value.Float64s()
						switch {
						case strings.HasSuffix(p.Name, "tracked"):
							continue
						case p.Trainable:
							v = minus(v, before[p.Name])
						case g[prefix+p.Name].Defined(): // a statistic
						default: // fixed
							if e := nntest.RelativeError(v, before[p.Name]); e != 0 {
								t.Errorf("%s has changed", p.Name)
							}
							continue
						}
						worst = max(worst, g.CheckDigest(t, prefix, p.Name, v, 1e-8))
					}
				}
			}
			t.Logf("worst relative error %.1e", worst)
		})
	}
	if cases < 30 {
		t.Errorf("%d cases", cases)
	}
}
