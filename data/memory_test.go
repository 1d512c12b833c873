package data

import (
	"context"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/registry"
)

// points are n vectors of two floats, whose class is their position modulo 3.
func points(n int) Table {
	var t Table
	for i := range n {
		t.Floats = append(t.Floats, float32(i), -float32(i))
		t.Labels = append(t.Labels, int64(i%3))
	}
	return t
}

// deliver returns copies of what an epoch delivers.
func deliver(t *testing.T, s Samples, o BatchOptions) (floats []float32, labels []int64, sizes []int) {
	t.Helper()
	batches := s.Batches(o)
	defer batches.Close()
	for i := o.Start; ; i++ {
		b, err := batches.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return floats, labels, sizes
		}
		if err != nil || b.Index != i || b.Epoch != o.Epoch || b.Weight != 1 || b.Bytes != nil || b.Ints != nil {
			t.Fatalf("batch %d: got %+v, %v", i, b, err)
		}
		if o.Views == 2 && !slices.Equal(b.Second.Floats, b.Floats) {
			t.Errorf("batch %d: the second view has %v, want %v", i, b.Second.Floats, b.Floats)
		}
		floats, labels, sizes = append(floats, b.Floats...), append(labels, b.Labels...), append(sizes, b.N)
	}
}

func TestMemoryDeliversItsRows(t *testing.T) {
	s, err := FromFloats(Shape{C: 2}, points(10), points(3))
	if err != nil {
		t.Fatal(err)
	}
	want := Info{Name: "data", Shape: Shape{2, 1, 1}, Classes: []string{"0", "1", "2"}}
	if got := s.Info(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if n := s.Part(Validation).Len(); n != 0 {
		t.Errorf("validation has %d samples", n)
	}
	floats, labels, sizes := deliver(t, s.Part(Train), BatchOptions{Batch: 4, Workers: 2, Views: 2, KeepLast: true})
	if !slices.Equal(floats, points(10).Floats) || !slices.Equal(labels, points(10).Labels) || !slices.Equal(sizes, []int{4, 4, 2}) {
		t.Errorf("got %v, %v in batches of %v", floats, labels, sizes)
	}
	o := BatchOptions{Batch: 3, Workers: 1, Shuffle: true, Seed: 7, Epoch: 2}
	all, _, _ := deliver(t, s.Part(Train), o)
	o.Start, o.Workers = 2, 3
	if rest, _, _ := deliver(t, s.Part(Train), o); !slices.Equal(rest, all[12:]) || len(rest) != 6 {
		t.Errorf("resumed at 2: got %v of %v", rest, all)
	}
	sub, _, _ := deliver(t, s.Part(Train).Subset([]int{9, 0}), BatchOptions{Batch: 2})
	if want := []float32{9, -9, 0, 0}; !slices.Equal(sub, want) {
		t.Errorf("the subset has %v, want %v", sub, want)
	}
}

// Samples in memory may have any number of classes.
func TestMemoryOfSeveralLabels(t *testing.T) {
	table := func(n int) (out Table) {
		for i := range n {
			out.Floats = append(out.Floats, float32(i))
			var set []uint16
			for class := range uint16(3) {
				if i>>class&1 == 1 {
					set = append(set, class)
				}
			}
			out.Sets = append(out.Sets, set)
		}
		return out
	}
	s, err := Memory{Shape: Shape{C: 1}, Train: table(8), Test: table(2)}.Source()
	if err != nil {
		t.Fatal(err)
	}
	if info := s.Info(); !info.MultiLabel || !slices.Equal(info.Classes, []string{"0", "1", "2"}) {
		t.Errorf("got %+v", info)
	}
	train := s.Part(Train)
	if counts := countsOf(train, 3); !slices.Equal(counts, []int{4, 4, 4}) {
		t.Errorf("classes have %v samples", counts)
	}
	batches := train.Subset([]int{7, 0, 5, 2}).Batches(BatchOptions{Batch: 3, Workers: 1, KeepLast: true})
	defer batches.Close()
	for _, want := range [][]byte{{1, 1, 1, 0, 0, 0, 1, 0, 1}, {0, 1, 0}} {
		b, err := batches.Next(t.Context())
		if err != nil || b.Labels != nil || !slices.Equal(b.Has, want) {
			t.Errorf("got %+v, %v, want %v", b, err, want)
		}
	}
	other := table(8)
	other.Sets[3] = []uint16{0}
	if changed, err := (Memory{Shape: Shape{C: 1}, Train: other}).Source(); err != nil || fingerprintOf(changed.Part(Train)) == fingerprintOf(train) {
		t.Errorf("other classes, the same fingerprint: %v", err)
	}
	if _, half, err := SplitByClass(train, 4, 1, "test"); err != nil || half.Len() != 4 {
		t.Errorf("half of the samples: %v", err)
	}
}

func fingerprintOf(s Samples) string { return s.(Identified).Fingerprint() }

func TestMemoryRefusesWhatDisagrees(t *testing.T) {
	ints := Table{Ints: []int64{1, 2}, Labels: []int64{0}}
	nan := Table{Floats: []float32{1, 2, 3, float32(math.NaN())}, Labels: []int64{0, 1}}
	for _, tt := range []struct {
		name string
		set  Memory
		want string
	}{
		{"no labels", Memory{Shape: Shape{C: 2}}, "training data has no labels"},
		{"no shape", Memory{Train: points(2)}, "shape {0 1 1}"},
		{"length", Memory{Shape: Shape{C: 3}, Train: points(2)}, "has 4 values: must have 6"},
		{"kinds", Memory{Shape: Shape{C: 2}, Train: points(2), Test: ints}, "test data has integers: must have floats"},
		{"both", Memory{Shape: Shape{C: 2}, Train: Table{Floats: ints.floats(), Ints: ints.Ints, Labels: ints.Labels}}, "must have one of them"},
		{"label", Memory{Shape: Shape{C: 2}, Classes: []string{"a"}, Train: points(2)}, "has label 1 at sample 1: must be 0 to 0"},
		{"negative", Memory{Shape: Shape{C: 2}, Train: Table{Floats: []float32{1, 2}, Labels: []int64{-1}}}, "has label -1"},
		{"NaN", Memory{Shape: Shape{C: 2}, Train: nan}, "NaN in sample 1"},
		{"sets and labels", Memory{Shape: Shape{C: 1}, Train: Table{Ints: []int64{1}, Labels: []int64{0}, Sets: [][]uint16{{0}}}}, "has Labels and Sets at a time"},
		{"sets beside labels", Memory{Shape: Shape{C: 2}, Train: points(3), Test: Table{Floats: []float32{0, 0}, Sets: [][]uint16{{0}}}}, "test data has Sets of classes: must have Labels"},
		{"no class", Memory{Shape: Shape{C: 1}, Train: Table{Ints: []int64{1}, Sets: [][]uint16{{}}}}, "no sample of training data has a class"},
		{"descending", Memory{Shape: Shape{C: 1}, Train: Table{Ints: []int64{1, 2}, Sets: [][]uint16{nil, {2, 1}}}}, "has classes [2 1] at sample 1: must ascend, from 0 to 2"},
		{"twice", Memory{Shape: Shape{C: 1}, Train: Table{Ints: []int64{1}, Sets: [][]uint16{{1, 1}}}}, "has classes [1 1] at sample 0"},
		{"beyond", Memory{Shape: Shape{C: 1}, Classes: []string{"a"}, Train: Table{Ints: []int64{1}, Sets: [][]uint16{{1}}}}, "must ascend, from 0 to 0"},
		{"fewer sets", Memory{Shape: Shape{C: 1}, Train: Table{Ints: []int64{1, 2}, Sets: [][]uint16{{1}}}}, "has 2 values: must have 1"},
		{"means", Memory{Name: "own", Shape: Shape{C: 1}, Mean: []float64{0, 0}, Train: Table{Bytes: []byte{1}, Labels: []int64{0}}}, "own: has 2 means"},
	} {
		_, err := tt.set.Source()
		if !fault.Is(err) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func (t Table) floats() []float32 { return make([]float32, len(t.Ints)) }

// An own set by its name: divided and limited as the recipe asks, checked, and its keys heeded or refused.
func TestRegister(t *testing.T) {
	defer func(old *registry.Registry[Entry]) { entries = old }(entries)
	entries = registry.New("set", func(e Entry) string { return e.Name })
	Register(Entry{Name: "points", Doc: "points on a line", Open: func(Options, []string) (Source, error) {
		return FromFloats(Shape{C: 2}, points(100), points(20))
	}})
	o := Options{Set: "points", Batch: 8, Workers: 1, Validation: 0.1, Limit: 50, TestLimit: 5}
	s, err := Open(o, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[Part]int{Train: 50, Validation: 10, Test: 5} {
		if got := s.Part(part).Len(); got != want {
			t.Errorf("%s has %d samples, want %d", part, got, want)
		}
	}
	o.Augment = AugmentCropFlip
	if err := o.Validate(); !fault.Is(err) || !strings.Contains(err.Error(), "augment is set: set points does not use it") {
		t.Errorf("got %v", err)
	}
	o.Augment, o.Batch = "", 51
	if _, err := Open(o, 1, nil); !fault.Is(err) || !strings.Contains(err.Error(), "data.batch is 51: must be at most 50") {
		t.Errorf("got %v", err)
	}
	r, err := Check(t.Context(), "points", nil)
	if err != nil || r.Status != Complete || r.Train.Images != 100 || !slices.Equal(r.Test.PerClass, []int{7, 7, 6}) {
		t.Errorf("got %+v, %v", r, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Check(ended, "points", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, err := Lookup("rings"); !fault.Is(err) || !strings.Contains(err.Error(), "must be one of points") {
		t.Errorf("got %v", err)
	}
	for name, e := range map[string]Entry{
		"taken": {Name: "points", Open: Sets()[0].Open}, "no name": {Open: Sets()[0].Open}, "no Open": {Name: "x"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: Register takes it", name)
				}
			}()
			Register(e)
		}()
	}
}

// A set with validation samples of its own keeps them, and splits off no others.
func TestOwnValidation(t *testing.T) {
	m := Memory{Shape: Shape{C: 2}, Train: points(10), Validation: points(4), Test: points(3)}
	whole, err := m.Source()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Divide(whole, Options{Batch: 1}, 1)
	if err != nil || s.Part(Validation).Len() != 4 || s.Part(Train).Len() != 10 {
		t.Errorf("got %v, %v", s, err)
	}
	if _, err := Divide(whole, Options{Batch: 1, Validation: 2}, 1); !fault.Is(err) || !strings.Contains(err.Error(), "4 validation samples of its own") {
		t.Errorf("got %v", err)
	}
}
