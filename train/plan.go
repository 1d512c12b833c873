package train

import (
	"cmp"
	"runtime"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/torch"
)

// timings of each piece where cuts are to share out time.
const timings = 3

// NewPlanner returns a planner for the network of a recipe. most is the largest batch worth measuring, 0 for any. The
// caller frees the planner.
func NewPlanner(c Config, in Images, most int) (*plan.Planner, error) {
	spec := plan.Spec{
		Model: c.Model, Head: c.Head, Method: c.Method, Optim: c.Optim, DType: c.dtype(), Input: in.Shape,
		Classes: in.Classes, Most: most, Timings: 1,
	}
	if goal, _ := c.Method.Auto(); plan.Goal(goal) == plan.Time {
		spec.Timings = timings
	}
	torch.SetThreads(cmp.Or(c.Threads, runtime.GOMAXPROCS(0)))
	return plan.New(spec)
}

// Square is what a model must know of coloured images of a side.
func Square(side, classes int) Images {
	return Images{Shape: nn.Shape{C: 3, H: side, W: side}, Classes: classes}
}

// planned returns the cuts that a planner chooses where a recipe leaves them to it; none for one module.
func planned(c Config, in Images) ([]string, error) {
	p, err := NewPlanner(c, in, c.Data.Batch)
	if err != nil {
		return nil, err
	}
	defer p.Free()
	goal, _ := c.Method.Auto()
	ends, err := p.Ends(c.Method.Modules, c.Data.Batch, plan.Goal(goal))
	if err != nil || len(ends) == 1 {
		return nil, err
	}
	return p.Names(ends), nil
}
