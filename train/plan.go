package train

import (
	"cmp"
	"runtime"

	"github.com/locus-learn/locus/local"
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

// planned replaces automatic cuts by the ones that a planner chooses.
func planned(c Config, o local.Options, in Images) (Config, error) {
	goal, auto := o.Auto()
	if !auto {
		return c, nil
	}
	p, err := NewPlanner(c, in, c.Data.Batch)
	if err != nil {
		return c, err
	}
	defer p.Free()
	ends, err := p.Ends(o.Modules, c.Data.Batch, plan.Goal(goal))
	if err != nil {
		return c, err
	}
	c.Method.Cuts = p.Names(ends)
	return c, nil
}
