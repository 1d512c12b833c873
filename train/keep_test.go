package train

import (
	"slices"
	"testing"
)

func TestKept(t *testing.T) {
	for _, c := range []struct {
		earlier   []int
		n, lowest int
		want      []int
	}{
		{nil, 1, 0, nil},
		{[]int{5, 10}, 1, 5, nil},
		{nil, 3, 0, nil},
		{[]int{5}, 3, 5, []int{5}},
		{[]int{0, 5, 10}, 3, 10, []int{5, 10}},
		{[]int{0, 5, 10}, 3, 15, []int{5, 10}}, // the last one itself has the lowest loss
		{[]int{5, 10, 15, 20}, 3, 5, []int{5, 15, 20}},
		{[]int{5, 10, 15, 20}, 2, 10, []int{10, 20}},
		{[]int{5, 10, 15, 20}, 100, 5, []int{5, 10, 15, 20}},
		{[]int{5, 10, 15, 20}, 2, 7, []int{20}}, // what is gone is gone
	} {
		if got := kept(c.earlier, c.n, c.lowest); !slices.Equal(got, c.want) {
			t.Errorf("of %v with n = %d and the lowest at %d: %v, want %v", c.earlier, c.n, c.lowest, got, c.want)
		}
	}
}

func TestLowest(t *testing.T) {
	var l lowest
	for _, c := range []struct {
		step   int
		losses []float64
		want   int // step of the lowest
	}{
		{0, nil, 0},
		{5, []float64{3, 2}, 5},
		{10, []float64{2, 1}, 10},
		{15, []float64{1, 1, 1}, 15},
		{20, []float64{1, 9}, 15}, // it begins to rise
		{25, []float64{20, 30}, 15},
		{30, nil, 15},
		{35, []float64{1}, 35},
	} {
		for _, x := range c.losses {
			l.Since.add(x)
		}
		if l = l.at(c.step); l.Step != c.want || l.Since.N != 0 {
			t.Errorf("at step %d the lowest is at %d, want %d", c.step, l.Step, c.want)
		}
	}
}
