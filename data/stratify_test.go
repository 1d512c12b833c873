package data

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
)

func TestShares(t *testing.T) {
	for _, c := range []struct {
		counts []int
		n      int
		want   []int
	}{
		{[]int{50, 30, 20}, 10, []int{5, 3, 2}},
		{[]int{6, 6, 6}, 4, []int{2, 1, 1}}, // equal remainders: the first class gives one more
		{[]int{7, 2, 1}, 3, []int{2, 1, 0}}, // 2.1, 0.6, 0.3
		{[]int{3, 1, 1}, 4, []int{2, 0, 0}}, // no class gives its last sample
		{[]int{0, 4}, 2, []int{0, 2}},
		{[]int{5, 5}, 0, []int{0, 0}},
		{[]int{100, 1}, 90, []int{90, 0}},
	} {
		if got := shares(c.counts, c.n); !slices.Equal(got, c.want) {
			t.Errorf("%d of %v: %v, want %v", c.n, c.counts, got, c.want)
		}
	}
}

// rest and taken share no sample, stand in the order of the set, and follow from root and stream alone.
func TestSplitByClass(t *testing.T) {
	whole, err := Memory{Shape: Shape{C: 2}, Train: points(30)}.Source()
	if err != nil {
		t.Fatal(err)
	}
	split := func(root uint64, stream string) (a, b []float32) {
		rest, taken, err := SplitByClass(whole.Part(Train), 9, root, stream)
		if err != nil {
			t.Fatal(err)
		}
		a, _, _ = deliver(t, rest, BatchOptions{Batch: 30, KeepLast: true})
		b, labels, _ := deliver(t, taken, BatchOptions{Batch: 30, KeepLast: true})
		for class := range int64(3) {
			n := 0
			for _, l := range labels {
				if l == class {
					n++
				}
			}
			if n != 3 {
				t.Errorf("%d samples of class %d are taken, want 3 of each", n, class)
			}
		}
		return a, b
	}
	rest, taken := split(1, "a")
	again, _ := split(1, "a")
	other, _ := split(2, "a")
	third, _ := split(1, "b")
	if !slices.Equal(rest, again) || slices.Equal(rest, other) || slices.Equal(rest, third) {
		t.Error("the split does not follow from root and stream")
	}
	var all []float32
	for i := 0; i < len(rest); i += 2 {
		all = append(all, rest[i])
	}
	for i := 0; i < len(taken); i += 2 {
		if slices.Contains(all, taken[i]) {
			t.Errorf("sample %g is in both parts", taken[i])
		}
		all = append(all, taken[i])
	}
	slices.Sort(all)
	if len(all) != 30 || len(slices.Compact(all)) != 30 {
		t.Errorf("the parts have %d samples, want 30", len(all))
	}
}

// dumb samples do not tell their labels.
type dumb struct{ Samples }

func TestTestSamplesAreSplitOff(t *testing.T) {
	open := func(test, train int, o Options) (Source, error) {
		m := Memory{Name: "things", Shape: Shape{C: 2}, Train: points(train), Test: points(test)}
		whole, err := m.Source()
		if err != nil {
			t.Fatal(err)
		}
		return Divide(whole, o, 7)
	}
	s, err := open(0, 30, Options{Batch: 1, Test: 0.2, Validation: 6, Stratify: true})
	if err != nil || s.Part(Test).Len() != 6 || s.Part(Validation).Len() != 6 || s.Part(Train).Len() != 18 {
		t.Fatalf("got %v, %v", s, err)
	}
	first, _, _ := deliver(t, s.Part(Test), BatchOptions{Batch: 6})
	whole, _ := Memory{Name: "things", Shape: Shape{C: 2}, Train: points(30)}.Source()
	other, err := Divide(whole, Options{Batch: 1, Test: 0.2}, 8)
	if err != nil {
		t.Fatal(err)
	}
	if second, _, _ := deliver(t, other.Part(Test), BatchOptions{Batch: 6}); !slices.Equal(first, second) {
		t.Errorf("with another seed other samples are held out: %v, %v", first, second)
	}
	for _, c := range []struct {
		test int
		o    Options
		want string
	}{
		{3, Options{Batch: 1, Test: 0.2}, "data.test is 0.2: must be 0, since things has 3 test samples of its own"},
		{0, Options{Batch: 1, Test: 30}, "data.test is 30: must leave some of the 30 training images"},
	} {
		if _, err := open(c.test, 30, c.o); !fault.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
	mute := opened{whole.Info(), map[Part]Samples{Train: dumb{whole.Part(Train)}, Validation: whole.Part(Validation), Test: whole.Part(Test)}}
	for key, o := range map[string]Options{"data.test": {Batch: 1, Test: 2}, "data.stratify": {Batch: 1, Validation: 2, Stratify: true}} {
		if _, err := Divide(mute, o, 1); !fault.Is(err) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// Every class comes equally often, none of its samples twice more than another, and epochs differ.
func TestBalancedOrder(t *testing.T) {
	labels := []int64{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 4}
	whole, err := Memory{Shape: Shape{C: 1}, Train: Table{Floats: make([]float32, len(labels)), Labels: labels}}.Source()
	if err != nil {
		t.Fatal(err)
	}
	samples := whole.Part(Train)
	seen := map[string]bool{}
	for epoch := range 5 {
		order := BalancedOrder(3, epoch, samples)
		if !slices.Equal(order, BalancedOrder(3, epoch, samples)) {
			t.Error("the order does not follow from seed and epoch")
		}
		seen[fmt.Sprint(order)] = true
		perClass, perSample := map[int64]int{}, make([]int, len(labels))
		for _, i := range order {
			perClass[labels[i]]++
			perSample[i]++
		}
		for class, n := range perClass {
			if n < 4 || n > 5 { // 14 among 3 classes
				t.Errorf("epoch %d: class %d comes %d times", epoch, class, n)
			}
		}
		if of := perSample[:10]; slices.Max(of) > 1 || perSample[13] < 4 {
			t.Errorf("epoch %d: samples come %v times", epoch, perSample)
		}
	}
	if len(seen) != 5 {
		t.Errorf("5 epochs have %d orders", len(seen))
	}
	s, err := Divide(whole, Options{Batch: 2, Balanced: true}, 1)
	if err != nil || !slices.Equal(s.Info().Counts, []int{10, 3, 0, 0, 1}) {
		t.Errorf("classes have %v samples, %v", s.Info().Counts, err)
	}
	_, got, _ := deliver(t, samples, BatchOptions{Batch: 5, Order: []int{13, 10, 0, 13, 13, 1}, KeepLast: true})
	if !slices.Equal(got, []int64{4, 1, 0, 4, 4, 0}) {
		t.Errorf("the samples that were asked for have classes %v", got)
	}
	mute := opened{whole.Info(), map[Part]Samples{Train: dumb{samples}, Validation: whole.Part(Validation), Test: whole.Part(Test)}}
	if _, err := Divide(mute, Options{Batch: 2, Balanced: true}, 1); !fault.Is(err) || !strings.Contains(err.Error(), "data.balanced") {
		t.Errorf("got %v", err)
	}
}
