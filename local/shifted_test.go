package local_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// withTokens are the kinds of modules, and two of transformers.
var withTokens = append(kinds[:len(kinds):len(kinds)], []struct {
	name string
	body func(i nn.Init) nn.Layer
	out  int
	maps bool
}{
	{"attention and MLP", func(i nn.Init) nn.Layer {
		return nn.Sequential{nn.NewConv2d(i.In("conv"), 3, 8, 2, 2, nn.Padding(0)), encoder(i, nn.NewAttention(i.In("attn"), 8, 2))}
	}, 8, true},
	{"attention in shifted windows", func(i nn.Init) nn.Layer {
		return nn.Sequential{nn.NewConv2d(i.In("conv"), 3, 8, 1, 1), encoder(i, nn.NewWindowAttention(i.In("attn"), 8, 2, 4, 2, 8, 8))}
	}, 8, true},
}...)

// encoder is a transformer block of eight channels.
func encoder(i nn.Init, mixer nn.Mixer) nn.Layer {
	return &nn.Encoder{
		Norm1: nn.NewLayerNorm(i.In("norm1"), 8, 1e-6), Mixer: mixer, Norm2: nn.NewLayerNorm(i.In("norm2"), 8, 1e-6), MLP: nn.NewMLP(i, "fc1", "fc2", 8, 16),
	}
}

// counting counts the passes over a module, and how many of them find nothing of the parameters.
type counting struct {
	local.Credit
	all, bare *int
}

func (c counting) Gradients(p *nn.Pass, m *local.Module, o local.Objective, in local.Signal, want local.Want) local.Gradients {
	if *c.all++; want.Bare {
		*c.bare++
	}
	g := c.Credit.Gradients(p, m, o, in, want)
	if want.Bare && len(g.Theta) > 0 {
		panic("gradients of parameters that nobody has asked for")
	}
	return g
}

// In float64, where rounding does not hide it, what one pass at x + v adds is the gradient of a double backward, for every kind
// of layer. It goes back to the parameters once, and once to the input alone.
func TestShiftedPassFindsTheTerm(t *testing.T) {
	for _, kind := range withTokens {
		for _, checkpoints := range []bool{false, true} {
			t.Run(fmt.Sprint(kind.name, " ", checkpoints), func(t *testing.T) {
				all, bare := 0, 0
				fast, exact := pairOf(t, kind.body, kind.out, kind.maps, torch.Float64, local.Shifted)
				credit := fast.Rule.Credit
				if checkpoints {
					credit = local.Checkpointed{Blocks: 1}
				}
				fast.Rule.Credit = counting{credit, &all, &bare}
				for _, c := range []*local.Chain{fast, exact} {
					c.Rule.Term.(*local.Reconcile).Lambda = 1e-7
				}
				compareTerms(t, "one pass", fast, exact, noise, bounds{1 - 1e-8, 1e-5})
				if bare != 2 { // once in the comparison, once in the step
					t.Errorf("%d of %d passes find nothing of the parameters, want 2", bare, all)
				}
			})
		}
	}
}

// In float32, what the optimizer sees is off by no more than a module's own gradient, beside a fraction of the term: where one
// pass will do, and where it takes two.
func TestShiftedGradientInFloat32(t *testing.T) {
	for _, kind := range withTokens {
		for _, lambda := range []float64{1e-5, 1e-3, 3e-2, 1} {
			t.Run(fmt.Sprint(kind.name, " lambda ", lambda), func(t *testing.T) {
				fast, exact := pairOf(t, kind.body, kind.out, kind.maps, torch.Float32, local.Shifted)
				x, y := noise(torch.Float32)
				in, _, err := fast.Rule.Train(fast.Modules()[0], local.Signal{X: x, Y: y}, torch.Float32, local.Tick{})
				if err != nil {
					t.Fatal(err)
				}
				defer in.Free()
				m, twin := fast.Modules()[1], exact.Modules()[1]
				for i, p := range m.Params {
					twin.Params[i].Value.Copy(p.Value)
				}
				own := local.Rule{Objective: local.Classify{}, Credit: local.Autograd{}, Term: local.None{}}
				right := gradient(own, twin, in, torch.Float64)
				rounding := norm(minus(gradient(own, m, in, torch.Float32), right))
				for _, c := range []*local.Chain{fast, exact} {
					c.Rule.Term.(*local.Reconcile).Lambda = lambda
				}
				both := gradient(exact.Rule, twin, in, torch.Float64)
				term := norm(minus(both, right))
				off := norm(minus(gradient(fast.Rule, m, in, torch.Float32), both))
				t.Logf("own gradient %.1e, off by %.1e; term %.1e; sum off by %.1e", norm(right), rounding, term, off)
				if off > 3*rounding+2e-3*term {
					t.Errorf("the sum is off by %.2e; rounding is %.2e, and the term %.2e", off, rounding, term)
				}
			})
		}
	}
}

func norm(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}

// Where neighbours agree, or the term is 0, a shifted step is an ordinary one; on part of a batch the difference is taken.
func TestShiftedStepWithoutDirection(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	b, bias := newHidden(t, s)
	bias.Uniform(0.1, 0.2, 1)
	own, _ := b.gradients(local.None{})
	b.in.Delta = s.ZerosLike(b.in.X)
	zero, _ := b.gradients(&local.Reconcile{Lambda: 1e-30, Normalize: true, Gradient: local.Shifted})
	if e := norm(minus(zero, own)); e > 1e-6*norm(own) {
		t.Errorf("a term of nothing changes the gradient by %g of %g", e, norm(own))
	}
}
