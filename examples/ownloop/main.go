// Command ownloop trains a network of its own, on data in memory, in a loop of its own.
package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

func main() {
	if err := run(os.Stdout, 200); err != nil {
		fmt.Fprintln(os.Stderr, "ownloop:", err)
		os.Exit(1)
	}
}

// network has two blocks and a classifier, for points in the plane and four classes.
func network(init nn.Init) *zoo.Network {
	block := func(name string, in int) nn.Block {
		return nn.Block{Name: name, Layer: nn.Sequential{nn.NewLinear(init.In(name), in, 16), nn.ReLU{}}, Out: nn.Shape{C: 16}}
	}
	return &zoo.Network{
		Name: "points", Input: nn.Shape{C: 2}, Classes: 4,
		Blocks:     []nn.Block{block("fc1", 2), block("fc2", 16)},
		Classifier: nn.NewLinear(init.In("fc"), 16, 4),
	}
}

// build cuts the network behind its first block. SGR reconciles the two modules.
func build() (*model.Model, error) {
	init := nn.Init{Seed: 1, Device: torch.CPU}
	return model.Of(model.Parts{
		Net:  network(init),
		Ends: []int{1, 2},
		Rule: local.Rule{
			Objective: local.Classify{},
			Term:      &local.Reconcile{Lambda: 0.01, Normalize: true, Reduction: local.Batch},
			Credit:    local.Autograd{},
		},
		Init:  init,
		DType: torch.Float32,
		Head: func(at zoo.Cut, init nn.Init) (nn.Layer, error) {
			return nn.NewLinear(init.In(fmt.Sprintf("heads.%d.fc", at.Module)), at.Out().C, at.Net.Classes), nil
		},
		Optim: func(params []*nn.Param) optim.Optimizer {
			return optim.New(optim.Options{Name: "sgd", Momentum: 0.9}, params)
		},
	})
}

// points draws n points around four centres: x is [n, 2], y is [n]. The caller owns them.
func points(random *rand.Rand, n int) (x, y torch.Tensor) {
	places, labels := make([]float32, 0, 2*n), make([]int64, 0, n)
	for range n {
		class := random.IntN(4)
		places = append(places, float32(2*(class%2)-1)+float32(random.NormFloat64())/4,
			float32(2*(class/2)-1)+float32(random.NormFloat64())/4)
		labels = append(labels, int64(class))
	}
	s := torch.CPU.Scope(torch.NoGrad)
	defer s.Close()
	return s.FromFloats(places, int64(n), 2).Keep(), s.FromInts(labels).Keep()
}

// run trains for so many steps and writes how well each module's head answers.
func run(w io.Writer, steps int) error {
	defer torch.Pin()() // libtorch keeps its threads by the thread that calls it
	m, err := build()
	if err != nil {
		return err
	}
	defer m.Free()
	random := rand.New(rand.NewPCG(1, 2))
	for step := range steps {
		x, y := points(random, 64)
		at := local.Tick{Step: step, Done: float64(step) / float64(steps), LR: 0.1}
		if _, err := m.Learner.Step(x, y, at); err != nil { // takes x and y over
			return err
		}
	}
	if _, err := m.Learner.Drain(); err != nil {
		return err
	}
	x, y := points(random, 1000)
	scores, err := m.Learner.Evaluate(x, y)
	if err != nil {
		return err
	}
	for k, s := range scores {
		fmt.Fprintf(w, "module %d answers %d of %d right\n", k+1, s.Top1, s.N)
	}
	return nil
}
