package images

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
)

// source is an open set of images, whole.
type source struct {
	info        data.Info
	train, test Images
}

func (s *source) Info() data.Info { return s.info }

// Part returns images; those of validation are none, since they are split off the training ones.
func (s *source) Part(part data.Part) data.Samples {
	switch part {
	case data.Train:
		return s.train
	case data.Test:
		return s.test
	}
	return Images{Shape: s.train.Shape}
}

// Open reads a set. It looks in dirs (what --data names), o.Dir, the folders that $LOCUS_DATA lists, and where
// distributions install; in each it looks in the set's usual sub-folders, then in the folder itself. The first folder with
// one of the set's files is used.
//
// Missing, truncated and broken files are faults; a missing file wraps fs.ErrNotExist. Images in files are not read yet:
// their batches tell of broken ones.
func (s *spec) Open(o data.Options, dirs []string) (data.Source, error) {
	set, err := s.open(o, searchDirs(dirs, o.Dir))
	if err != nil {
		return nil, err
	}
	return set, nil
}

// open reads the whole set.
func (s *spec) open(o data.Options, dirs []string) (*source, error) {
	dir, root, err := s.mustLocate(dirs)
	if err != nil && o.Test > 0 && s.trains != nil && fault.Is(err) {
		for _, root = range s.roots(dirs) {
			if s.trains(root) {
				dir, err = root, nil
				break
			}
		}
	}
	if err != nil {
		return nil, err
	}
	set := &source{info: data.Info{
		Name: s.name, Dir: dir, Own: s.scan != nil,
		Mean: slices.Clone(s.mean), Std: slices.Clone(s.std),
	}}
	info := &set.info
	if len(o.Mean) > 0 {
		info.Mean = slices.Clone(o.Mean)
	}
	if len(o.Std) > 0 {
		info.Std = slices.Clone(o.Std)
	}
	if len(dirs) > 0 && !within(root, dirs[0]) {
		tried := dirs
		if i := slices.Index(dirs, root); i > 0 {
			tried = dirs[:i]
		}
		info.Notes = append(info.Notes, fmt.Sprintf("%s is not in %s: using %s", s.name, show.Names(tried, 5), show.Name(dir)))
	}
	if s.scan != nil {
		err = s.openPhotos(set, o)
	} else {
		err = s.openStored(set)
	}
	if err != nil {
		return nil, err
	}
	info.Shape = set.train.Shape
	set.train.change = transformOf(o, info.Mean)
	return set, nil
}

// within reports whether a folder is another one, or below it.
func within(dir, other string) bool {
	rel, err := filepath.Rel(other, dir)
	return err == nil && filepath.IsLocal(rel)
}

// openStored reads the files of a set that is held in memory.
func (s *spec) openStored(set *source) (err error) {
	info, dir := &set.info, set.info.Dir
	if info.Classes, err = s.readClasses(dir); err != nil {
		return err
	}
	if set.train, err = s.read(dir, s.train); err != nil {
		return err
	}
	if set.test, err = s.read(dir, s.test); err != nil {
		return err
	}
	if train, test := set.train.Len(), set.test.Len(); train < s.train.images || test < s.test.images {
		info.Subset = true
		info.Notes = append(info.Notes, fmt.Sprintf("%s is a subset: %d of %d training and %d of %d test images: "+
			"results cannot be compared with published ones", s.name, train, s.train.images, test, s.test.images))
	}
	return nil
}
