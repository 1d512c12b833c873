package study

import (
	"context"
	"fmt"

	"github.com/locus-learn/locus/bench"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/train"
)

// survey looks at what an arm's run will take, once.
func (a *Arm) survey(dir string) (train.Survey, error) {
	if a.looked != nil {
		return *a.looked, nil
	}
	found, err := train.Look(a.Config, dir)
	if err != nil {
		return found, fault.New("arm %s: %w", a.Name, err)
	}
	a.looked = &found
	return found, nil
}

// Cost is what an arm takes, by a few measured steps.
type Cost struct {
	Arm         string
	Cells       int     // not done yet
	Steps       int     // of one
	StepSeconds float64 // median
	Hours       float64 // of all of them, evaluation left out
	PeakBytes   int64
	PFLOP       float64 // of one cell
}

// measured steps of each arm in a dry run, behind those to warm up.
const (
	costSteps  = 3
	costWarmup = 1
)

// Costs measures steps of every arm on this machine, one run at a time with all its threads, and tells what is left to do.
// each, which may be nil, gets each arm's cost when it is known.
func (r *Runner) Costs(ctx context.Context, each func(Cost)) ([]Cost, error) {
	unfinished, err := r.unfinished()
	if err != nil {
		return nil, err
	}
	left := map[*Arm]int{}
	for _, c := range unfinished {
		left[c.Arm]++
	}
	var costs []Cost
	for i := range r.Study.Arms {
		a := &r.Study.Arms[i]
		if left[a] == 0 {
			continue
		}
		found, err := r.look(a)
		if err != nil {
			return costs, err
		}
		c, err := a.cost(ctx, found, left[a])
		if err != nil {
			return costs, err
		}
		if costs = append(costs, c); each != nil {
			each(c)
		}
	}
	return costs, nil
}

func (a *Arm) cost(ctx context.Context, found train.Survey, cells int) (Cost, error) {
	c := a.Config
	rows, err := bench.Run(ctx, c.Spec(found.Input), bench.Options{
		Methods: []string{c.Method.Name}, Batch: c.Data.Batch, LR: c.Optim.LR, Steps: costSteps, Warmup: costWarmup,
	})
	if err != nil {
		return Cost{}, fmt.Errorf("arm %s: %w", a.Name, err)
	}
	seconds := rows[0].StepSeconds
	return Cost{
		Arm: a.Name, Cells: cells, Steps: found.Steps, StepSeconds: seconds,
		Hours:     seconds * float64(found.Steps) * float64(cells) / 3600,
		PeakBytes: rows[0].PeakBytes, PFLOP: found.PFLOP(c.Data.Batch, found.Steps),
	}, nil
}
