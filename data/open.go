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
	all := train.Len()
	held := o.Validation.Count(all)
	switch {
	case held > 0 && validation.Len() > 0:
		return nil, fault.New("data.validation is %g: must be 0, since %s has %d validation samples of its own", o.Validation, name, validation.Len())
	case held >= all:
		return nil, fault.New("data.validation is %g: must leave some of the %d training images of %s", o.Validation, all, name)
	case held > 0:
		train, validation = Split(train, held, root)
	}
	s := opened{whole.Info(), map[Part]Samples{Train: Limit(train, o.Limit), Validation: validation, Test: Limit(test, o.TestLimit)}}
	for part, samples := range s.parts {
		if t, ok := samples.(Tolerant); ok {
			s.parts[part] = t.Tolerate(part, o.Broken)
		}
	}
	if n := s.parts[Train].Len(); o.Batch > n {
		return nil, fault.New("data.batch is %d: must be at most %d, the number of training images", o.Batch, n)
	}
	return s, nil
}
