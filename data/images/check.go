package images

import (
	"context"
	"os"

	"github.com/locus-learn/locus/data"
)

// checkAll reads all of a set and says whether it is whole; images in files are decoded.
func (s *spec) checkAll(ctx context.Context, dirs []string) (data.Report, error) {
	dir, _, err := s.mustLocate(dirs)
	if err != nil {
		return data.Report{}, err
	}
	if s.scan != nil {
		return s.checkPhotos(ctx, dir)
	}
	r := data.Report{Name: s.name, Dir: dir, Train: s.checkPart(dir, s.train), Test: s.checkPart(dir, s.test)}
	if r.Classes, r.Problem = s.readClasses(dir); r.Problem != nil {
		r.Classes = s.classes
	}
	for _, file := range s.files() {
		r.Files = append(r.Files, stat(dir, file))
	}
	switch {
	case r.Train.Problem != nil || r.Test.Problem != nil || r.Problem != nil:
		r.Status = data.Broken
	case r.Train.Images < r.Train.Official || r.Test.Images < r.Test.Official:
		r.Status = data.Subset
	default:
		r.Status = data.Complete
	}
	return r, nil
}

func (s *spec) checkPart(dir string, part split) data.PartReport {
	m, err := s.read(dir, part)
	p := data.PartReport{Official: part.images, Images: m.Len(), PerClass: make([]int, len(s.classes)), Problem: err}
	for _, label := range m.Labels {
		p.PerClass[label]++
	}
	return p
}

func stat(dir, name string) data.File {
	f := data.File{Name: name}
	path, err := find(dir, name)
	if err != nil {
		return f
	}
	if info, err := os.Stat(path); err == nil {
		f.Path, f.Bytes = path, info.Size()
	}
	return f
}
