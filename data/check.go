package data

import (
	"context"
	"os"
)

// Status is the verdict of [Check] on a set.
type Status string

// The verdicts.
const (
	Complete Status = "complete" // as many images as the official set has, or as the folder or the shards hold
	Subset   Status = "subset"   // whole, but fewer images
	Broken   Status = "broken"   // a file is missing, truncated or wrong
)

// Report is what [Check] found.
type Report struct {
	Name, Dir   string
	Status      Status
	Classes     []string
	Files       []File
	Train, Test Part
	Problem     error    // with the file of class names; nil if there is none
	Unreadable  []string // images in files that cannot be decoded, each with the reason, in the order of the set
}

// File is one file of a set on disk.
type File struct {
	Name  string
	Path  string // "" if the file is missing
	Bytes int64  // on disk, so compressed for a .gz
}

// Part is the training or the test half of a set.
type Part struct {
	Official int   // images that the official set has, or that are there
	Images   int   // images found, 0 if the part is broken
	PerClass []int // images of each class found, by label
	Problem  error // what is broken, a fault; nil if nothing is
}

// Check reads all of a set, looked for as by [Open], and says whether it is whole; images in files are decoded. A broken
// set is reported, not an error; an unknown or missing set is a fault. When ctx ends, the error is its own.
func Check(ctx context.Context, name string, dirs []string) (Report, error) {
	s, err := lookup(name)
	if err != nil {
		return Report{}, err
	}
	dir, _, err := s.mustLocate(dirs)
	if err != nil {
		return Report{}, err
	}
	if s.scan != nil {
		return s.checkPhotos(ctx, dir)
	}
	r := Report{Name: name, Dir: dir, Train: s.checkPart(dir, s.train), Test: s.checkPart(dir, s.test)}
	if r.Classes, r.Problem = s.readClasses(dir); r.Problem != nil {
		r.Classes = s.classes
	}
	for _, file := range s.files() {
		r.Files = append(r.Files, stat(dir, file))
	}
	switch {
	case r.Train.Problem != nil || r.Test.Problem != nil || r.Problem != nil:
		r.Status = Broken
	case r.Train.Images < r.Train.Official || r.Test.Images < r.Test.Official:
		r.Status = Subset
	default:
		r.Status = Complete
	}
	return r, nil
}

func (s *spec) checkPart(dir string, part split) Part {
	m, err := s.read(dir, part)
	p := Part{Official: part.images, Images: m.Len(), PerClass: make([]int, len(s.classes)), Problem: err}
	for _, label := range m.Labels {
		p.PerClass[label]++
	}
	return p
}

func stat(dir, name string) File {
	f := File{Name: name}
	path, err := find(dir, name)
	if err != nil {
		return f
	}
	if info, err := os.Stat(path); err == nil {
		f.Path, f.Bytes = path, info.Size()
	}
	return f
}
