package data

import "fmt"

// Form is what all batches of a part have in common.
type Form struct {
	Shape      Shape
	Classes    int  // 0 for any number
	MultiLabel bool // samples have any number of classes
	Means      int  // channels that bytes are normalised by
}

// form is that of a set.
func (i Info) form() Form { return Form{i.Shape, len(i.Classes), i.MultiLabel, len(i.Mean)} }

// Check returns an error that goes on after a batch's name where the batch is not of that form: in shape, number of values, labels,
// or since a float is not finite.
func (b Batch) Check(f Form) error {
	if s := b.Shape; s != f.Shape {
		return fmt.Errorf("has samples of %d×%d×%d: must have %d×%d×%d", s.C, s.H, s.W, f.Shape.C, f.Shape.H, f.Shape.W)
	}
	if b.N < 1 {
		return fmt.Errorf("has %d samples: must have at least 1", b.N)
	}
	if err := b.Values.check(f, b.N); err != nil {
		return err
	}
	if !b.Second.empty() {
		if err := b.Second.check(f, b.N); err != nil {
			return fmt.Errorf("%w, in the second view", err)
		}
	}
	if f.MultiLabel {
		return b.checkSets(f)
	}
	if err := checkLabels("labels", b.Labels, b.N, f.Classes); err != nil || len(b.Partners) == 0 {
		return err
	}
	if !(b.Weight >= 0 && b.Weight <= 1) {
		return fmt.Errorf("mixes by %g: must be 0 to 1", b.Weight)
	}
	return checkLabels("labels of what was mixed in", b.Partners, b.N, f.Classes)
}

func (v Values) empty() bool { return len(v.Bytes)+len(v.Floats)+len(v.Ints) == 0 }

// check wants the values of n samples.
func (v Values) check(f Form, n int) error {
	kinds := 0
	for _, has := range []int{len(v.Bytes), len(v.Floats), len(v.Ints)} {
		kinds += min(has, 1)
	}
	size := f.Shape.Size()
	switch has := max(len(v.Bytes), len(v.Floats), len(v.Ints)); {
	case kinds != 1:
		return fmt.Errorf("holds %d bytes, %d floats and %d integers: must hold one of these", len(v.Bytes), len(v.Floats), len(v.Ints))
	case has != n*size:
		return fmt.Errorf("has %d values: must have %d, which is %d samples of %d", has, n*size, n, size)
	case v.Bytes != nil && f.Means != f.Shape.C:
		return fmt.Errorf("has bytes: the set has means for %d channels, and must for %d", f.Means, f.Shape.C)
	}
	for i, x := range v.Floats {
		if x-x != 0 { // neither NaN nor infinite
			return fmt.Errorf("has the value %g in sample %d: must be finite", x, i/size)
		}
	}
	return nil
}

func checkLabels(what string, labels []int64, n, classes int) error {
	if len(labels) != n {
		return fmt.Errorf("has %d %s: must have %d, one a sample", len(labels), what, n)
	}
	for i, label := range labels {
		if label < 0 || classes > 0 && label >= int64(classes) {
			return fmt.Errorf("has %d among its %s, at sample %d: must be 0 to %d", label, what, i, classes-1)
		}
	}
	return nil
}

func (b Batch) checkSets(f Form) error {
	if len(b.Has) != b.N*f.Classes {
		return fmt.Errorf("has %d marks of classes: must have %d, of %d samples and %d classes", len(b.Has), b.N*f.Classes, b.N, f.Classes)
	}
	for i, v := range b.Has {
		if v > 1 {
			return fmt.Errorf("marks class %d of sample %d by %d: must be 0 or 1", i%f.Classes, i/f.Classes, v)
		}
	}
	return nil
}
