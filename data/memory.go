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
	Classes          []string  // names, label 0 first; if empty, the classes are the numbers from 0 to the greatest one of Train
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

	// Sets are in place of Labels where a sample may have any number of classes: those of each of N samples, ascending.
	Sets [][]uint16
}

// Len returns the number of samples.
func (t Table) Len() int { return max(len(t.Labels), len(t.Sets)) }

// FromFloats is a set of floats in memory, as many classes as the labels have. Values come as they are, so the caller scales
// them. An empty test is allowed; [Divide] splits one off.
func FromFloats(shape Shape, train, test Table) (Source, error) {
	return Memory{Shape: shape, Train: train, Test: test}.Source()
}

// Source checks the set and returns it as a source. Lengths that disagree, classes that there are not and values that are not
// finite are faults, and so are tables of which one has Labels and one has Sets.
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
		if other := p.table.kind(); p.table.Len() > 0 && other != kind {
			return nil, fault.New("%s: %s data has %s: must have %s, as training data has", info.Name, p.part.Word(), other, kind)
		}
		if other := p.table.labelled(); p.table.Len() > 0 && other != m.Train.labelled() {
			return nil, fault.New("%s: %s data has %s: must have %s, as training data has", info.Name, p.part.Word(), other, m.Train.labelled())
		}
		s.parts[p.part] = stored{p.table, info.Shape, len(info.Classes)}
	}
	return s, nil
}

func (m Memory) info() (Info, error) {
	info := Info{Name: cmp.Or(m.Name, "data"), Shape: m.Shape, Classes: slices.Clone(m.Classes)}
	info.Shape.H, info.Shape.W = cmp.Or(m.Shape.H, 1), cmp.Or(m.Shape.W, 1)
	if s := info.Shape; s.C < 1 || s.H < 1 || s.W < 1 {
		return info, fault.New("%s: a sample has shape %v: each number must be at least 1", info.Name, s)
	}
	if m.Train.Len() == 0 {
		return info, fault.New("%s: training data has no labels: must have one a sample", info.Name)
	}
	info.MultiLabel = m.Train.Sets != nil
	if most := m.Train.greatest(); len(info.Classes) == 0 && most < mostClasses {
		for label := range most + 1 {
			info.Classes = append(info.Classes, strconv.FormatInt(label, 10))
		}
	}
	if len(info.Classes) == 0 && info.MultiLabel {
		return info, fault.New("%s: no sample of training data has a class: must have some, or Classes name them", info.Name)
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

// labelled says how its samples are.
func (t Table) labelled() string {
	if t.Sets != nil {
		return "Sets of classes"
	}
	return "Labels"
}

// greatest returns the greatest class of its samples, -1 if there is none.
func (t Table) greatest() int64 {
	most := int64(-1)
	for _, label := range t.Labels {
		most = max(most, label)
	}
	for _, set := range t.Sets {
		for _, class := range set {
			most = max(most, int64(class))
		}
	}
	return most
}

// check returns a fault that goes on after the name of the table.
func (t Table) check(info Info) error {
	values := len(t.Bytes) + len(t.Floats) + len(t.Ints)
	if n := max(len(t.Bytes), len(t.Floats), len(t.Ints)); n != values {
		return fault.New("has bytes, floats and integers at a time: must have one of them")
	}
	if t.Labels != nil && t.Sets != nil {
		return fault.New("has Labels and Sets at a time: must have one of them")
	}
	if want := t.Len() * info.Shape.Size(); values != want {
		return fault.New("has %d values: must have %d, which is %d labels times %d values a sample", values, want, t.Len(), info.Shape.Size())
	}
	for i, label := range t.Labels {
		if label < 0 || label >= int64(len(info.Classes)) {
			return fault.New("has label %d at sample %d: must be 0 to %d", label, i, len(info.Classes)-1)
		}
	}
	for i, set := range t.Sets {
		for j, class := range set {
			if int(class) >= len(info.Classes) || j > 0 && class <= set[j-1] {
				return fault.New("has classes %d at sample %d: must ascend, from 0 to %d", set, i, len(info.Classes)-1)
			}
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
	table   Table
	shape   Shape
	classes int
}

func (s stored) Len() int { return s.table.Len() }

// Label is as [Labelled] says.
func (s stored) Label(position int) int { return int(s.table.Labels[position]) }

// MultiLabel is as [MultiLabelled] says.
func (s stored) MultiLabel() bool { return s.table.Sets != nil }

// Classes is as [MultiLabelled] says.
func (s stored) Classes(position int) []uint16 { return s.table.Sets[position] }

// Subset copies the samples.
func (s stored) Subset(positions []int) Samples {
	v := s.rows(Values{}, positions)
	s.table = Table{
		Bytes: v.Bytes, Floats: v.Floats, Ints: v.Ints,
		Labels: gather(nil, s.table.Labels, 1, positions), Sets: gather(nil, s.table.Sets, 1, positions),
	}
	return s
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

// has tells of each class whether a sample has it, in out's memory; nil where each sample has one class.
func (s stored) has(out []byte, positions []int) []byte {
	if !s.MultiLabel() {
		return nil
	}
	out = slices.Grow(out[:0], len(positions)*s.classes)[:len(positions)*s.classes]
	clear(out)
	for i, p := range positions {
		for _, class := range s.table.Sets[p] {
			out[i*s.classes+int(class)] = 1
		}
	}
	return out
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
		Labels: gather(b.Labels, c.from.table.Labels, 1, positions), Has: c.from.has(b.Has, positions),
		Places: positions, Weight: 1,
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
	for _, set := range s.table.Sets {
		fmt.Fprintf(h, "%d\n", set)
	}
	return fmt.Sprintf("%016x", h.Sum64())
}
