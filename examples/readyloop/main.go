// Command readyloop trains a network of its own, on data in memory, in the loop that Locus has ready: with a schedule of
// the learning rate, evaluation, checkpoints, metrics and pictures.
package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
	"github.com/locus-learn/locus/zoo"
)

func main() {
	summary, err := run(context.Background(), "runs/readyloop")
	if err != nil {
		fmt.Fprintln(os.Stderr, "readyloop:", err)
		os.Exit(1)
	}
	fmt.Printf("%.1f %% of the test points are right; heads %.1f\n", summary.TestAcc, summary.ModuleAcc)
}

// build makes a network of two blocks for points in the plane, cuts it between them and trains both modules layer-wise.
func build() (*model.Model, error) {
	init := nn.Init{Seed: 1, Device: torch.CPU}
	block := func(name string, in int) nn.Block {
		return nn.Block{Name: name, Layer: nn.Sequential{nn.NewLinear(init.In(name), in, 16), nn.ReLU{}}, Out: nn.Shape{C: 16}}
	}
	return model.Of(model.Parts{
		Net: &zoo.Network{
			Name: "points", Input: nn.Shape{C: 2}, Classes: 2,
			Blocks:     []nn.Block{block("fc1", 2), block("fc2", 16)},
			Classifier: nn.NewLinear(init.In("fc"), 16, 2),
		},
		Ends: []int{1, 2},
		Rule: local.Rule{
			Objective: local.Classify{}, Term: local.None{}, Credit: local.Autograd{},
			Metrics: []local.Metric{local.Perplexity},
		},
		Init: init, DType: torch.Float32,
		Head: func(at zoo.Cut, init nn.Init) (nn.Layer, error) {
			return nn.NewLinear(init.In(fmt.Sprintf("heads.%d.fc", at.Module)), at.Out().C, at.Net.Classes), nil
		},
		Optim: func(params []*nn.Param) optim.Optimizer {
			return optim.New(optim.Options{Name: "sgd", Momentum: 0.9}, params)
		},
	})
}

// rings draws n points of two rings, one around the other.
func rings(random *rand.Rand, n int) data.Table {
	var t data.Table
	for i := range n {
		class := i % 2
		x, y := random.NormFloat64(), random.NormFloat64()
		far := (1 + float64(class) + random.NormFloat64()/8) / max(1e-6, math.Hypot(x, y))
		t.Floats = append(t.Floats, float32(x*far), float32(y*far))
		t.Labels = append(t.Labels, int64(class))
	}
	return t
}

// run trains into the folder out.
func run(ctx context.Context, out string) (record.Summary, error) {
	random := rand.New(rand.NewPCG(1, 2))
	source, err := data.FromFloats(data.Shape{C: 2}, rings(random, 1024), rings(random, 512))
	if err != nil {
		return record.Summary{}, err
	}
	m, err := build()
	if err != nil {
		return record.Summary{}, err
	}
	c := train.Defaults()
	c.Name, c.Data.Batch, c.Schedule.Epochs, c.Optim.LR = "rings", 32, 5, 0.1
	r, err := train.New(m, source, c, train.Options{Out: out, Force: true, Steps: -1}) // takes the model over
	if err != nil {
		return record.Summary{}, err
	}
	summary, err := r.Train(ctx)
	if failed := r.Close(); err == nil {
		err = failed
	}
	return summary, err
}
