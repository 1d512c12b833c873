package local_test

import (
	"fmt"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// lookup is a layer that takes ids: its features are the ids' last binary digits, so that two neighbours differ.
type lookup struct {
	*nn.Linear
	seen *[]float64
}

func (l lookup) Forward(p *nn.Pass, x torch.Tensor) torch.Tensor {
	if x.DType() != torch.Int64 {
		panic(&torch.Error{Op: "lookup", Text: "ids are " + x.DType().String()})
	}
	*l.seen = append(*l.seen, x.Float64s()...)
	n := x.Shape()[0]
	ids := x.Float64s()
	x.Free()
	features := make([]float32, 0, 8*n)
	for _, id := range ids {
		for bit := range 8 {
			features = append(features, float32(int(id)>>bit&1))
		}
	}
	return l.Linear.Forward(p, p.Cast(p.FromFloats(features, n, 8), p.Compute))
}

// No credit, pass or probe casts token ids: they reach the first layer as they are, also where activations are bfloat16.
func TestIdsAreNotCast(t *testing.T) {
	ids := []int64{255, 256, 257, 1000003}
	for _, name := range []string{"bp", "layerwise", "sgr", "reforward", "greedy"} {
		for _, checkpoint := range []string{"none", "blocks"} {
			t.Run(fmt.Sprint(name, " ", checkpoint), func(t *testing.T) {
				how, o, err := method.Lookup(method.Options{Name: name, Modules: 2, Lambda: 1, Checkpoint: checkpoint})
				if err != nil {
					t.Skip(err)
				}
				var seen []float64
				init := nn.Init{Seed: 3, Device: torch.CPU}
				first := nn.Block{Name: "embed", Layer: lookup{nn.NewLinear(init.In("embed"), 8, 6), &seen}, Out: nn.Shape{C: 6}}
				second := nn.Block{Name: "fc1", Layer: nn.Sequential{nn.NewLinear(init.In("fc1"), 6, 6), nn.ReLU{}}, Out: nn.Shape{C: 6}}
				ends := [][]nn.Block{{first}, {second}}
				if o.Modules == 1 {
					ends = [][]nn.Block{{first, second}}
				}
				var all []*local.Module
				for i, blocks := range ends {
					head := nn.NewLinear(init.In(fmt.Sprint("head", i)), 6, 4)
					all = append(all, local.NewModule(i+1, i == len(ends)-1, blocks, head, nil, sgd))
				}
				defer func() {
					for _, m := range all {
						m.Free()
					}
				}()
				rule, schedule := how.Compose(o)
				c := local.NewChain(all, rule, schedule, torch.BFloat16)
				s := torch.NewScope(torch.NoGrad)
				defer s.Close()
				for step := range 2 {
					if _, err := c.Step(s.FromInts(ids).Keep(), s.FromInts([]int64{0, 1, 2, 3}).Keep(), local.Tick{Step: step, LR: 0.1}); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := c.Evaluate(s.FromInts(ids).Keep(), s.FromInts([]int64{0, 1, 2, 3}).Keep()); err != nil {
					t.Fatal(err)
				}
				for i, id := range seen {
					if id != float64(ids[i%len(ids)]) {
						t.Fatalf("id %d arrived as %g", ids[i%len(ids)], id)
					}
				}
				if len(seen) < 3*len(ids) {
					t.Errorf("%d ids were seen", len(seen))
				}
			})
		}
	}
}
