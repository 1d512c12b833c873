package local_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// blobs draws n points around four centres in the plane: the features and the number of the centre.
func blobs(n int, index uint64) (x, y torch.Tensor) {
	random := rand.New(rand.NewPCG(7, index))
	points, labels := make([]float32, 0, 2*n), make([]int64, 0, n)
	for range n {
		c := random.IntN(4)
		points = append(points, float32(2*(c%2)-1)+float32(random.NormFloat64())/4, float32(c-c%2-1)+float32(random.NormFloat64())/4)
		labels = append(labels, int64(c))
	}
	s := torch.NewScope(torch.NoGrad)
	return s.FromFloats(points, int64(n), 2).Keep(), s.FromInts(labels).Keep()
}

// A net of one's own: blocks are layers with a name, modules are runs of blocks with a head and an optimizer, and a
// chain drives them by a rule. Here every module learns by its own loss and agrees with its neighbour.
func Example_ownNet() {
	init := nn.Init{Seed: 1, Device: torch.CPU}
	hidden := func(name string, in int) []nn.Block {
		return []nn.Block{{Name: name, Layer: nn.Sequential{nn.NewLinear(init.In(name), in, 16), nn.ReLU{}}, Out: nn.Shape{C: 16}}}
	}
	sgd := func(params []*nn.Param) optim.Optimizer {
		return optim.New(optim.Options{Name: "sgd", Momentum: 0.9}, params)
	}
	modules := []*local.Module{
		local.NewModule(1, false, hidden("fc1", 2), nn.NewLinear(init.In("heads.1.fc"), 16, 4), nil, sgd),
		local.NewModule(2, true, hidden("fc2", 16), nn.NewLinear(init.In("fc"), 16, 4), nil, sgd),
	}
	rule := local.Rule{
		Objective: local.Classify{},
		Term:      &local.Reconcile{Lambda: 0.01, Normalize: true, Reduction: local.Batch},
		Credit:    local.Autograd{},
	}
	chain := local.NewChain(modules, rule, local.Together{}, torch.Float32)
	for step := range 100 {
		x, y := blobs(64, uint64(step))
		if _, err := chain.Step(x, y, local.Tick{Step: step, Done: float64(step) / 100, LR: 0.1}); err != nil {
			fmt.Println(err)
			return
		}
	}
	x, y := blobs(1000, 1<<20)
	scores, err := chain.Evaluate(x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	for k, s := range scores {
		fmt.Printf("module %d is right on more than 95 %%: %v\n", k+1, 100*s.Top1 > 95*s.N)
	}
	for _, m := range modules {
		m.Free()
	}
	// Output:
	// module 1 is right on more than 95 %: true
	// module 2 is right on more than 95 %: true
}

// freezeOut is a schedule of one's own: module k of K stops to learn after the fraction k/K of the training, and then
// only passes features on (after Brock et al. 2017).
type freezeOut struct{}

func (freezeOut) Phase(k, K int, done float64) local.Phase {
	if done < float64(k)/float64(K) {
		return local.Trains
	}
	return local.Frozen
}

func (freezeOut) Cycles(int) int { return 1 }

// confidence is an objective of one's own: cross-entropy that spares samples which are right already, by scaling the
// module's logits before the loss.
type confidence struct{ scale float64 }

func (c confidence) Loss(p *nn.Pass, m *local.Module, x torch.Tensor, in local.Signal) torch.Tensor {
	return p.CrossEntropy(p.Scale(m.Head.Forward(p, p.Alias(x)), c.scale), in.Y, 0)
}

// A method of one's own is a composition: any part that local has can be replaced by another of the same kind.
func Example_ownMethod() {
	init := nn.Init{Seed: 1, Device: torch.CPU}
	sgd := func(params []*nn.Param) optim.Optimizer { return optim.New(optim.Options{Name: "sgd"}, params) }
	var modules []*local.Module
	in := 2
	for k := 1; k <= 3; k++ {
		name := fmt.Sprintf("fc%d", k)
		body := []nn.Block{{Name: name, Layer: nn.Sequential{nn.NewLinear(init.In(name), in, 16), nn.ReLU{}}, Out: nn.Shape{C: 16}}}
		modules = append(modules, local.NewModule(k, k == 3, body, nn.NewLinear(init.In(name+".head"), 16, 4), nil, sgd))
		in = 16
	}
	rule := local.Rule{Objective: confidence{2}, Term: local.None{}, Credit: local.Autograd{}}
	chain := local.NewChain(modules, rule, freezeOut{}, torch.Float32)
	trained := make([]int, 3)
	for step := range 90 {
		x, y := blobs(64, uint64(step))
		left, err := chain.Step(x, y, local.Tick{Step: step, Done: float64(step) / 90, LR: 0.1})
		if err != nil {
			fmt.Println(err)
			return
		}
		for k, s := range left[0].Stats {
			if s.Loss > 0 {
				trained[k]++
			}
		}
	}
	fmt.Println("steps trained:", trained)
	for _, m := range modules {
		m.Free()
	}
	// Output:
	// steps trained: [30 60 90]
}
