package train_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/train"
)

// The ready loop takes any model and any data, here a network by its name and points in memory. Its folder has metrics,
// pictures and checkpoints.
func Example() {
	var points data.Table
	for i := range 64 {
		class := i % 2
		points.Floats = append(points.Floats, float32(2*class-1), float32(i%7)/7)
		points.Labels = append(points.Labels, int64(class))
	}
	source, err := data.FromFloats(data.Shape{C: 2}, points, points)
	if err != nil {
		fmt.Println(err)
		return
	}
	spec := model.Defaults()
	spec.Net.Name, spec.Net.Depth, spec.Net.Width, spec.Head.Name = "mlp", 2, 8, "linear"
	spec.Method.Name, spec.Method.Modules = "layerwise", 2
	spec.Input = model.Input{Shape: nn.Shape{C: 2}, Classes: 2}
	m, err := model.New(spec)
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	c := train.Defaults()
	c.Data.Batch, c.Schedule.Epochs = 16, 5
	run, err := train.New(m, source, c, train.Options{Out: filepath.Join(dir, "run"), Steps: -1}) // takes the model over
	if err != nil {
		fmt.Println(err)
		return
	}
	defer run.Close()
	summary, err := run.Train(context.Background())
	fmt.Println(summary.Steps, "steps,", summary.TestAcc, "% right,", err)
	// Output:
	// 20 steps, 100 % right, <nil>
}
