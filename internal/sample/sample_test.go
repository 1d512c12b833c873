package sample

import (
	"math"
	"slices"
	"testing"
)

func near(a, b float64) bool {
	return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-9*max(1, math.Abs(b))
}

// Half of an interval is t · sd / √n with t of printed tables: 12.7062 of one degree of freedom, 4.30265 of two, 2.36462 of seven.
func TestOf(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		values         []float64
		n              int
		mean, sd, half float64
		text           string
	}{
		{nil, 0, nan, nan, nan, "–"},
		{[]float64{nan, math.Inf(1)}, 0, nan, nan, nan, "–"},
		{[]float64{86.25}, 1, 86.25, nan, nan, "86.2"},
		{[]float64{1, 3}, 2, 2, math.Sqrt2, 12.706204736174698, "2.0 ± 1.4"},
		{[]float64{1, 2, 3}, 3, 2, 1, 2.484137711728108, "2.0 ± 1.0"},
		{[]float64{4, nan, 4, 4}, 3, 4, 0, 0, "4.0 ± 0.0"},
		{[]float64{2, 4, 4, 4, 5, 5, 7, 9}, 8, 5, 2.138089935299395, 1.7874876, "5.0 ± 2.1"},
	} {
		s := Of(c.values)
		if s.N != c.n || !near(s.Mean, c.mean) || !near(s.SD, c.sd) || s.Text(1) != c.text {
			t.Errorf("Of(%v) is %+v, %q; want n %d, mean %v, sd %v, %q", c.values, s, s.Text(1), c.n, c.mean, c.sd, c.text)
		}
		if h := s.Half(0.95); !near(h, c.half) && math.Abs(h-c.half) > 1e-5 {
			t.Errorf("half of the interval of %v is %v, want %v", c.values, h, c.half)
		}
	}
	low, high := Of([]float64{1, 2, 3}).Interval(0.95)
	if !near(low+high, 4) || low >= 2 {
		t.Errorf("interval %v to %v is not around 2", low, high)
	}
}

func TestOfLeavesItsArgumentAlone(t *testing.T) {
	values := []float64{1, math.NaN(), 3}
	Of(values)
	if values[0] != 1 || !math.IsNaN(values[1]) || values[2] != 3 {
		t.Errorf("now %v", values)
	}
}

func TestDifferences(t *testing.T) {
	a := map[uint64]float64{3: 91, 1: 90, 2: 92}
	b := map[uint64]float64{1: 89, 3: 91.5, 7: 50}
	if got := Differences(a, b); !slices.Equal(got, []float64{1, -0.5}) {
		t.Errorf("differences are %v, want 1 of seed 1 and -0.5 of seed 3", got)
	}
}
