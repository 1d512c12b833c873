package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// clouds returns features of one module: of each class n points around a direction of its own, noise away.
func clouds(random *rand.Rand, classes, n int, noise float64) features {
	const width = 8
	var v []float32
	var f features
	for i := range classes * n {
		class := i % classes
		for d := range width {
			x := noise * random.NormFloat64()
			if d == class {
				x++
			}
			v = append(v, float32(x))
		}
		f.labels = append(f.labels, int64(class))
	}
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	f.modules = []torch.Tensor{s.FromFloats(v, int64(classes*n), width).Keep()}
	return f
}

// Votes are those of a full sort of cosines, and classes rank by them.
func TestNeighboursAreTheNearest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 0))
	cosines := make([]float64, 500)
	for i := range cosines {
		cosines[i] = math.Round(40*random.Float64()) / 40 // many are equal
	}
	var got []int
	for _, b := range nearest(cosines, 37) {
		got = append(got, b.at)
	}
	slices.Sort(got)
	want := make([]int, len(cosines))
	for i := range want {
		want[i] = i
	}
	slices.SortStableFunc(want, func(a, b int) int {
		if cosines[a] > cosines[b] {
			return -1
		}
		if cosines[a] < cosines[b] {
			return 1
		}
		return 0
	})
	want = slices.Sorted(slices.Values(want[:37]))
	if !slices.Equal(got, want) {
		t.Errorf("nearest are %v, want %v", got, want)
	}
	o := ProbeOptions{Neighbours: 3, Temperature: 0.1}
	for _, tt := range []struct {
		right int64
		rank  int
	}{{0, 1}, {1, 0}, {2, 4}, {3, 4}} { // one vote of e⁰ for class 1, two of e^−1 for class 0, none for the others
		if got := o.rank([]float64{0.9, 1, 0.9, 0.1}, []int64{0, 1, 0, 2}, tt.right, 4); got != tt.rank {
			t.Errorf("class %d has rank %d, want %d", tt.right, got, tt.rank)
		}
	}
}

// Both measures tell well separated classes apart, by direction and not by length, and fail on noise.
func TestFeaturesAreMeasured(t *testing.T) {
	defer torch.Pin()()
	random := rand.New(rand.NewPCG(2, 0))
	o := ProbeOptions{Neighbours: 20, Temperature: 0.07, Epochs: 20, LR: 0.3, Batch: 32}
	const classes = 6
	live := torch.LiveTensors()
	for _, tt := range []struct {
		noise       float64
		least, most float64
	}{{0.1, 99, 100}, {100, 5, 35}} {
		bank, queries := clouds(random, classes, 40, tt.noise), clouds(random, classes, 30, tt.noise)
		torch.ForeachScale(queries.modules, 3)
		knn, err := o.neighbours(t.Context(), bank, queries, 0, classes)
		if err != nil {
			t.Fatal(err)
		}
		probe, err := o.linear(t.Context(), bank, queries, 0, classes, 1)
		if err != nil {
			t.Fatal(err)
		}
		for name, a := range map[string]Accuracy{"neighbours": knn, "linear": probe} {
			if a.Top1 < tt.least || a.Top1 > tt.most || a.Top5 < a.Top1 || a.Top5 > 100 {
				t.Errorf("noise %g, %s: %+v, want from %g to %g", tt.noise, name, a, tt.least, tt.most)
			}
		}
		again, err := o.linear(t.Context(), bank, queries, 0, classes, 1)
		if err != nil || again.Top1 != probe.Top1 || again.Top5 != probe.Top5 {
			t.Errorf("a second probe finds %+v, %v, the first %+v", again, err, probe)
		}
		stopped, cancel := context.WithCancel(t.Context())
		cancel()
		_, first := o.neighbours(stopped, bank, queries, 0, classes)
		_, second := o.linear(stopped, bank, queries, 0, classes, 1)
		if !errors.Is(first, context.Canceled) || !errors.Is(second, context.Canceled) {
			t.Errorf("a stopped measurement returns %v, %v", first, second)
		}
		bank.free()
		queries.free()
	}
	if n := torch.LiveTensors() - live; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
}
