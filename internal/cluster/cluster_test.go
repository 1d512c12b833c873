package cluster

import (
	"math"
	"testing"
)

// even is a network of equal blocks: a second forward, two backward.
func even(blocks int) (n Network) {
	for range blocks {
		n = append(n, Block{Forward: 1, Backward: 2, Out: 1e6, Params: 4e6})
	}
	return n
}

// fast has links that take no time.
func fast(ranks int) Cluster { return Cluster{Ranks: ranks, Bandwidth: math.Inf(1)} }

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Abs(want) {
		t.Errorf("%s: %g, want %g", what, got, want)
	}
}

// The bubble of a pipeline of S equal stages and m parts is (S−1)/m of the ideal time, for both schedules (Huang et al. 2019,
// Narayanan et al. 2019).
func TestBubbleIsTheKnownOne(t *testing.T) {
	n := even(8)
	for _, stages := range []int{2, 4, 8} {
		runs := n.split(stages, func(b Block) float64 { return b.Forward + b.Backward })
		for _, parts := range []int{1, 4, 8, 32} {
			ideal := n.Seconds() / float64(stages)
			want := ideal * (1 + float64(stages-1)/float64(parts))
			near(t, "GPipe", n.flush(fast(stages), GPipe, runs, parts, 1), want)
			if parts >= stages {
				near(t, "1F1B", n.flush(fast(stages), OneForwardOneBackward, runs, parts, 1), want)
			}
		}
	}
}

// Where links take no time, local learning in equal modules takes the ideal time; else the slowest device or link does.
func TestLocalHasNoBubble(t *testing.T) {
	equal := []Module{{3, 1e6, 4e6}, {3, 1e6, 4e6}, {3, 1e6, 4e6}, {3, 0, 4e6}}
	for _, copies := range []int{1, 2, 16} {
		near(t, "equal modules", fast(4*copies).Pace(equal, copies), 12/float64(4*copies))
	}
	near(t, "the slowest module", fast(2).Pace([]Module{{1, 0, 0}, {5, 0, 0}}, 1), 5)
	slow := Cluster{Ranks: 2, Bandwidth: 1e5, Latency: 1e-3}
	near(t, "a link", slow.Pace([]Module{{2, 1e6, 1e9}, {2, 1e6, 0}}, 1), 10.001)
	near(t, "a sum and half a link", Cluster{Ranks: 4, Bandwidth: 1e6}.Pace([]Module{{2, 1e6, 3e6}, {2, 0, 3e6}}, 2), 3.5)
}

// A ring moves 2(R−1)/R of the bytes over every link, and what backward hides of it costs nothing.
func TestDataParallelHidesItsSums(t *testing.T) {
	n := even(4)
	c := Cluster{Ranks: 2, Bandwidth: 8e6}
	near(t, "hidden but for the first block's", n.DataParallel(c), n.Seconds()/2+0.5)
	near(t, "nothing to send", n.DataParallel(fast(4)), n.Seconds()/4)
	near(t, "of one", n.DataParallel(Cluster{Ranks: 1, Bandwidth: 1}), n.Seconds())
}

func TestSplitIsEven(t *testing.T) {
	n := Network{{Forward: 5}, {Forward: 1}, {Forward: 1}, {Forward: 1}, {Forward: 5}}
	got := n.split(3, func(b Block) float64 { return b.Forward })
	want := []int{0, 1, 4, 5}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("cuts %v, want %v", got, want)
		}
	}
}
