package data

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"slices"
	"strconv"

	"github.com/locus-learn/locus/internal/fault"
)

// Memory is a set of one's own in memory. Its slices are not copied, and must not change while the set is used.
type Memory struct {
	Name             string    // for messages; "data" if empty
	Shape            Shape     // of one sample; 0 rows or columns count as 1
	Classes          []string  // names, label 0 first; if empty, the classes are the numbers from 0 to the greatest label
	Mean, Std        []float64 // of bytes: one value a channel, of values in [0, 1]; empty for 0.5
	Train            Table
	Validation, Test Table // may be empty
}

// Table is labelled samples in memory, one after the other. One of Bytes, Floats and Ints holds them.
type Table struct {
	Bytes  []byte // channels last: N × H × W × C
	Floats []float32
	Ints   []int64
	Labels []int64 // N classes
}

// FromFloats is a set of floats in memory, as many classes as the labels have. Values come as they are, so the caller scales
// them. An empty test is allowed.
func FromFloats(shape Shape, train, test Table) (Source, error) {
	return Memory{Shape: shape, Train: train, Test: test}.Source()
}

// Source checks the set and returns it as a source. Lengths that disagree, labels outside of the classes and values that are
// not finite are faults.
func (m Memory) Source() (Source, error) {
	info, err := m.info()
	if err != nil {
		return nil, err
	}
	s := opened{info, map[Part]Samples{}}
	kind := m.Train.kind()
	for _, p := range []struct {
		part  Part
		table Table
	}{{Train, m.Train}, {Validation, m.Validation}, {Test, m.Test}} {
		if err := p.table.check(info); err != nil {
			return nil, fault.New("%s: %s data %w", info.Name, p.part.Word(), err)
		}
		if other := p.table.kind(); len(p.table.Labels) > 0 && other != kind {
			return nil, fault.New("%s: %s data has %s: must have %s, as training data has", info.Name, p.part.Word(), other, kind)
		}
		s.parts[p.part] = stored{p.table, info.Shape}
	}
	return s, nil
}

func (m Memory) info() (Info, error) {
	info := Info{Name: cmp.Or(m.Name, "data"), Shape: m.Shape, Classes: slices.Clone(m.Classes)}
	info.Shape.H, info.Shape.W = cmp.Or(m.Shape.H, 1), cmp.Or(m.Shape.W, 1)
	if s := info.Shape; s.C < 1 || s.H < 1 || s.W < 1 {
		return info, fault.New("%s: a sample has shape %v: each number must be at least 1", info.Name, s)
	}
	if len(m.Train.Labels) == 0 {
		return info, fault.New("%s: training data has no labels: must have one a sample", info.Name)
	}
	if most := slices.Max(m.Train.Labels); len(info.Classes) == 0 && most >= 0 && most < mostClasses {
		for label := range most + 1 {
			info.Classes = append(info.Classes, strconv.FormatInt(label, 10))
		}
	}
	if len(m.Train.Bytes) == 0 {
		return info, nil
	}
	info.Mean, info.Std = slices.Clone(m.Mean), slices.Clone(m.Std)
	if len(m.Mean) == 0 && len(m.Std) == 0 {
		info.Mean, info.Std = slices.Repeat([]float64{0.5}, m.Shape.C), slices.Repeat([]float64{0.5}, m.Shape.C)
	}
	if len(info.Mean) != m.Shape.C || len(info.Std) != m.Shape.C {
		return info, fault.New("%s: has %d means and %d deviations: must have %d, one a channel, or none", info.Name, len(m.Mean), len(m.Std), m.Shape.C)
	}
	return info, nil
}

// mostClasses bounds the classes that are named by their numbers: more are a mistake in the labels.
const mostClasses = 1 << 16

// kind says what a table holds.
func (t Table) kind() string {
	switch {
	case t.Floats != nil:
		return "floats"
	case t.Ints != nil:
		return "integers"
	}
	return "bytes"
}

// check returns a fault that goes on after the name of the table.
func (t Table) check(info Info) error {
	values := len(t.Bytes) + len(t.Floats) + len(t.Ints)
	if n := max(len(t.Bytes), len(t.Floats), len(t.Ints)); n != values {
		return fault.New("has bytes, floats and integers at a time: must have one of them")
	}
	if want := len(t.Labels) * info.Shape.Size(); values != want {
		return fault.New("has %d values: must have %d, which is %d labels times %d values a sample", values, want, len(t.Labels), info.Shape.Size())
	}
	for i, label := range t.Labels {
		if label < 0 || label >= int64(len(info.Classes)) {
			return fault.New("has label %d at sample %d: must be 0 to %d", label, i, len(info.Classes)-1)
		}
	}
	for i, v := range t.Floats {
		if v-v != 0 { // neither NaN nor infinite
			return fault.New("has the value %g in sample %d: must be finite", v, i/info.Shape.Size())
		}
	}
	return nil
}

// stored is samples in memory.
type stored struct {
	table Table
	shape Shape
}

func (s stored) Len() int { return len(s.table.Labels) }

// Label is as [Labelled] says.
func (s stored) Label(position int) int { return int(s.table.Labels[position]) }

// Subset copies the samples.
func (s stored) Subset(positions []int) Samples {
	out := stored{shape: s.shape}
	v := s.rows(Values{}, positions)
	out.table = Table{Bytes: v.Bytes, Floats: v.Floats, Ints: v.Ints, Labels: s.labels(nil, positions)}
	return out
}

func (s stored) Batches(o BatchOptions) Batches {
	return NewLoader(s.Len(), o, func() Filler { return &copier{s, o} })
}

// rows copies samples into v's memory.
func (s stored) rows(v Values, positions []int) Values {
	size := s.shape.Size()
	return Values{
		Bytes:  gather(v.Bytes, s.table.Bytes, size, positions),
		Floats: gather(v.Floats, s.table.Floats, size, positions),
		Ints:   gather(v.Ints, s.table.Ints, size, positions),
	}
}

func (s stored) labels(out []int64, positions []int) []int64 {
	return gather(out, s.table.Labels, 1, positions)
}

// gather copies rows of the given size into out's memory; nil if there is nothing to copy from.
func gather[T any](out, from []T, size int, positions []int) []T {
	if from == nil {
		return nil
	}
	out = slices.Grow(out[:0], len(positions)*size)
	for _, p := range positions {
		out = append(out, from[p*size:(p+1)*size]...)
	}
	return out
}

// copier fills batches out of memory.
type copier struct {
	from stored
	o    BatchOptions
}

func (c *copier) Close() {}

func (c *copier) Fill(b *Batch, order []int, i int) (told func() error, err error) {
	first, end := c.o.Span(i, len(order))
	positions := order[first:end]
	second := b.Second
	*b = Batch{
		N: len(positions), Shape: c.from.shape, Values: c.from.rows(b.Values, positions),
		Labels: c.from.labels(b.Labels, positions), Places: positions, Weight: 1,
	}
	if c.o.Views == 2 {
		b.Second = c.from.rows(second, positions)
	}
	return nil, nil
}

// Fingerprint implements [Identified]: of labels and values.
func (s stored) Fingerprint() string {
	h := fnv.New64a()
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli)) // values are many, and this is at the speed of memory
	for _, values := range []any{s.table.Labels, s.table.Bytes, s.table.Floats, s.table.Ints} {
		binary.Write(sum, binary.LittleEndian, values)
		fmt.Fprintf(h, "%d ", sum.Sum32())
	}
	return fmt.Sprintf("%016x", h.Sum64())
}
