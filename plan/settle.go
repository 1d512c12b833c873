package plan

import "github.com/locus-learn/locus/model"

// timings of each part where cuts are to share out time.
const timings = 3

// Settle replaces the cuts of a spec that are to be chosen by measuring ("auto", "auto:time") by those that suit a batch
// size, and returns any other spec as it is.
func Settle(spec model.Spec, batch int) (model.Spec, error) {
	goal, auto := spec.Method.Auto()
	if !auto {
		return spec, nil
	}
	p, err := New(spec, For(spec, batch))
	if err != nil {
		return spec, err
	}
	defer p.Free()
	ends, err := p.Ends(spec.Method.Modules, batch, Goal(goal))
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
