package plan

import "github.com/locus-learn/locus/model"

// timings of each part where cuts are to share out time.
const timings = 3

// Settle replaces the cuts of a spec that are to be chosen by measuring ("auto", "auto:time") by those that suit a batch
// size, and returns any other spec as it is. Where processes have several modules each, runs says how many, in order: cuts for
// time then make the processes even. nil: each module is by itself.
func Settle(spec model.Spec, batch int, runs []int) (model.Spec, error) {
	goal, auto := spec.Method.Auto()
	if !auto {
		return spec, nil
	}
	p, err := New(spec, For(spec, batch))
	if err != nil {
		return spec, err
	}
	defer p.Free()
	var ends []int
	if Goal(goal) == Time && len(runs) > 1 && p.Divides() {
		ends, err = p.EndsOfRuns(runs, batch)
	} else {
		ends, err = p.Ends(spec.Method.Modules, batch, Goal(goal))
	}
	if err != nil {
		return spec, err
	}
	if spec.Method.Cuts = nil; len(ends) > 1 {
		spec.Method.Cuts = p.Names(ends)
	}
	return spec, nil
}

// For returns how much to measure for what a spec asks its cuts to be chosen by. most is the largest batch worth measuring,
// 0 for any.
func For(spec model.Spec, most int) Options {
	o := Options{Most: most, Timings: 1}
	if goal, _ := spec.Method.Auto(); Goal(goal) == Time {
		o.Timings = timings
	}
	return o
}
