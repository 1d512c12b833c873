package data

import (
	"fmt"
	"slices"

	"github.com/locus-learn/locus/internal/fault"
)

// Set is an open image set, limited and split as Options asked.
type Set struct {
	Name       string   // as in Options.Set
	Dir        string   // the folder that the files came from
	Classes    []string // names, label 0 first
	Train      Images
	Validation Images // empty unless Options.Validation asks for it
	Test       Images
	Photos     bool      // images are in files of the user's, and classes have the names of their folders
	Subset     bool      // the files have fewer images than the official set; Options.Limit does not count
	Mean, Std  []float64 // one value a channel, of pixels in [0, 1]
	Warnings   []string  // lines for the user, such as that the set is a subset
}

// Open reads a set. It looks in dirs (what --data names), o.Dir, the folders that $LOCUS_DATA lists, and where
// distributions install; in each it looks in the set's usual sub-folders, then in the folder itself. The first folder with
// one of the set's files is used.
//
// The validation images are chosen by root from the whole training set; then the limits keep the first images of what
// is left, or, of images in files, some of all classes. Missing, truncated and broken files and impossible options are
// faults; a missing file wraps fs.ErrNotExist. Images in files are not read yet: a [Loader] tells of broken ones.
func Open(o Options, root uint64, dirs []string) (*Set, error) {
	if err := o.Validate(); err != nil {
		return nil, fault.New("data: %w", err)
	}
	s, err := lookup(o.Set)
	if err != nil {
		return nil, err
	}
	set, err := s.open(o, searchDirs(dirs, o.Dir))
	if err != nil {
		return nil, err
	}
	if len(o.Mean) > 0 {
		set.Mean = slices.Clone(o.Mean)
	}
	if len(o.Std) > 0 {
		set.Std = slices.Clone(o.Std)
	}
	all := set.Train.Len()
	held := o.Validation.Count(all)
	if held >= all {
		return nil, fault.New("data.validation is %g: must leave some of the %d training images of %s",
			o.Validation, all, s.name)
	}
	set.Train, set.Validation = set.Train.Split(held, root)
	set.Train = set.Train.Limit(o.Limit)
	set.Test = set.Test.Limit(o.TestLimit)
	s.watch(&set.Train, "training", o)
	s.watch(&set.Validation, "validation", o)
	s.watch(&set.Test, "test", o)
	if n := set.Train.Len(); o.Batch > n {
		return nil, fault.New("data.batch is %d: must be at most %d, the number of training images", o.Batch, n)
	}
	return set, nil
}

// open reads the whole set.
func (s *spec) open(o Options, dirs []string) (*Set, error) {
	dir, root, err := s.mustLocate(dirs)
	if err != nil {
		return nil, err
	}
	set := &Set{Name: s.name, Dir: dir, Mean: slices.Clone(s.mean), Std: slices.Clone(s.std), Photos: s.scan != nil}
	if len(dirs) > 0 && !slices.Contains(dirs, root) {
		set.Warnings = append(set.Warnings, fmt.Sprintf("%s is not in %q: using %s", s.name, dirs, dir))
	}
	if s.scan != nil {
		return set, s.openPhotos(set, o)
	}
	if set.Classes, err = s.readClasses(dir); err != nil {
		return nil, err
	}
	if set.Train, err = s.read(dir, s.train); err != nil {
		return nil, err
	}
	if set.Test, err = s.read(dir, s.test); err != nil {
		return nil, err
	}
	if train, test := set.Train.Len(), set.Test.Len(); train < s.train.images || test < s.test.images {
		set.Subset = true
		set.Warnings = append(set.Warnings, fmt.Sprintf("%s is a subset: %d of %d training and %d of %d test images: "+
			"results cannot be compared with published ones", s.name, train, s.train.images, test, s.test.images))
	}
	return set, nil
}
