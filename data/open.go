package data

import "github.com/locus-learn/locus/internal/fault"

// opened is a source, divided and limited.
type opened struct {
	info  Info
	parts map[Part]Samples
}

func (s opened) Info() Info             { return s.info }
func (s opened) Part(part Part) Samples { return s.parts[part] }

// Open opens the set that o names, with dirs as the folders to look in first.
//
// The validation samples are chosen by root from the whole training set; then the limits keep the first samples of what is
// left, or, of a set that stands class by class, some of all classes. Missing, truncated and broken files and impossible
// options are faults; a missing file wraps fs.ErrNotExist.
func Open(o Options, root uint64, dirs []string) (Source, error) {
	if err := o.Validate(); err != nil {
		return nil, fault.New("data: %w", err)
	}
	e, err := Lookup(o.Set)
	if err != nil {
		return nil, err
	}
	whole, err := e.Open(o, dirs)
	if err != nil {
		return nil, err
	}
	return Divide(whole, o, root)
}

// Divide splits and limits a source as o asks, as [Open] does. It is for a source that was not opened by name.
func Divide(whole Source, o Options, root uint64) (Source, error) {
	train, validation, test := whole.Part(Train), whole.Part(Validation), whole.Part(Test)
	name := whole.Info().Name
	train, test, err := testOf(whole, train, test, o.Test)
	if err != nil {
		return nil, err
	}
	all := train.Len()
	held := o.Validation.Count(all)
	switch {
	case held > 0 && validation.Len() > 0:
		return nil, fault.New("data.validation is %g: must be 0, since %s has %d validation samples of its own", o.Validation, name, validation.Len())
	case held >= all:
		return nil, fault.New("data.validation is %g: must leave some of the %d training images of %s", o.Validation, all, name)
	case held > 0 && o.Stratify:
		if train, validation, err = SplitByClass(train, held, root, "data/validation"); err != nil {
			return nil, fault.New("data.stratify is true: %s %w", name, err)
		}
	case held > 0:
		train, validation = Split(train, held, root)
	}
	s := opened{whole.Info(), map[Part]Samples{Train: Limit(train, o.Limit), Validation: validation, Test: Limit(test, o.TestLimit)}}
	for part, samples := range s.parts {
		if t, ok := samples.(Tolerant); ok {
			s.parts[part] = t.Tolerate(part, o.Broken)
		}
	}
	s.info.Samples = s.parts[Train].Len()
	if s.info.Counts = countsOf(s.parts[Train], len(s.info.Classes)); o.Balanced && s.info.Counts == nil {
		return nil, fault.New("data.balanced is true: must be false, since %s does not tell the classes of its samples before it reads them", name)
	}
	if s.info.MultiLabel {
		if err := o.multiLabel(name); err != nil {
			return nil, err
		}
	}
	if n := s.parts[Train].Len(); o.Batch > n {
		return nil, fault.New("data.batch is %d: must be at most %d, the number of training images", o.Batch, n)
	}
	return s, nil
}

// testOf splits test samples off the training ones, where a set has none and they are asked for. They do not depend on a
// run's seed: whatever goes on from a run of another seed has not trained on them.
func testOf(whole Source, train, test Samples, p Portion) (rest, taken Samples, err error) {
	n, name := p.Count(train.Len()), whole.Info().Name
	switch {
	case n == 0:
		return train, test, nil
	case test.Len() > 0:
		return nil, nil, fault.New("data.test is %g: must be 0, since %s has %d test samples of its own", p, name, test.Len())
	case n >= train.Len():
		return nil, nil, fault.New("data.test is %g: must leave some of the %d training images of %s", p, train.Len(), name)
	}
	if rest, taken, err = SplitByClass(train, n, 0, "data/test"); err != nil {
		return nil, nil, fault.New("data.test is %g: %s %w", p, name, err)
	}
	return rest, taken, nil
}
