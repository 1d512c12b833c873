package plan

import (
	"slices"
	"testing"
)

// Runs of modules are even in time, whatever the modules are, and modules are even within a run.
func TestRunsAreEven(t *testing.T) {
	even := func(m span) float64 { return float64(m.end - m.from) }
	twice := func(m span) float64 { // as with the reconciliation: all but the first module run twice
		if m.k == 1 {
			return even(m)
		}
		return 2 * even(m)
	}
	for name, tt := range map[string]struct {
		blocks int
		runs   []int
		cost   func(span) float64
		most   float64
		ends   []int
	}{
		"one and two of even blocks":    {12, []int{1, 2}, even, 6, []int{6, 9, 12}},
		"one each":                      {12, []int{1, 1, 1}, even, 4, []int{4, 8, 12}},
		"two and two":                   {12, []int{2, 2}, even, 6, []int{3, 6, 9, 12}},
		"the first one runs once":       {12, []int{1, 2}, twice, 8, []int{8, 10, 12}},
		"as many modules as blocks":     {3, []int{1, 2}, even, 2, []int{1, 2, 3}},
		"a run that leaves one no room": {4, []int{3, 1}, even, 3, []int{1, 2, 3, 4}},
	} {
		most, ends := partitionRuns(tt.blocks, tt.runs, tt.cost)
		if most != tt.most || !slices.Equal(ends, tt.ends) {
			t.Errorf("%s: ends %v with a run of %v, want %v with %v", name, ends, most, tt.ends, tt.most)
		}
	}
}
