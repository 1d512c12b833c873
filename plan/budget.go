package plan

import "slices"

// mostImages is the largest batch that a budget is tried with.
const mostImages = 1 << 16

// Fit returns the largest batch whose step, cut into K modules as the goal has it, stays within so many bytes of tensors;
// ok is false where not even the smallest does.
func (p *Planner) Fit(modules int, budget int64, goal Goal) (fit Prediction, ok bool, err error) {
	low, high := 1, mostImages+1 // of one sample there are no statistics
	for high-low > 1 {
		batch := 2
		if low > 1 {
			batch = (low + high) / 2
		}
		at, err := p.Plan(modules, batch, goal)
		switch {
		case err != nil:
			return fit, false, err
		case at.PeakBytes <= budget:
			low, fit, ok = batch, at, true
		case batch == 2:
			return fit, false, nil
		default:
			high = batch
		}
	}
	return fit, ok, nil
}

// Plan returns the prediction for the cuts that [Planner.Ends] chooses.
func (p *Planner) Plan(modules, batch int, goal Goal) (Prediction, error) {
	ends, err := p.Ends(modules, batch, goal)
	if err != nil {
		return Prediction{}, err
	}
	return p.Predict(ends, batch)
}

// Counts lists the numbers of modules that are worth a look: all up to 8, then in growing steps, and each block.
func (p *Planner) Counts() []int {
	n := len(p.blocks)
	if !p.Divides() {
		return []int{1}
	}
	var counts []int
	for k := 1; k < n; k += max(1, k/8*2) {
		counts = append(counts, k)
	}
	return slices.Compact(append(counts, n))
}

// Whole returns the prediction for global back-propagation through the same network.
func (p *Planner) Whole(batch int) (Prediction, error) {
	bp := *p
	bp.parts.Rule.Needs.Image = false // only local objectives ask for it
	return bp.Predict([]int{len(p.blocks)}, batch)
}
