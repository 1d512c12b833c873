package images

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/picture"
)

// Names of the parts of an image set on disk: folders, or how the names of shards start.
const (
	trainPart = "train"
	valPart   = "val"
)

// mostClasses is what Images.Labels can number.
const mostClasses = 1 << 16

// holdsFolders reports whether dir has a folder for each part.
func holdsFolders(dir string) bool {
	for _, part := range []string{trainPart, valPart} {
		if info, err := os.Stat(filepath.Join(dir, part)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// scanFolder lists dir/CLASS/*: the images, in no order, and a count of 0 for a class without any.
func scanFolder(dir string) (p *photos, perClass map[string]int, err error) {
	p = &photos{dir: dir}
	perClass = map[string]int{}
	classes, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fault.New("%s: %w", dir, cause(err))
	}
	for _, class := range classes {
		if strings.HasPrefix(class.Name(), ".") || !isDir(dir, class) {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(dir, class.Name()))
		if err != nil {
			return nil, nil, fault.New("%s: %w", filepath.Join(dir, class.Name()), cause(err))
		}
		perClass[class.Name()] = 0
		for _, e := range entries {
			if isImage(e.Name()) && !e.IsDir() {
				p.files = append(p.files, file{name: class.Name() + "/" + e.Name(), shard: standalone})
				perClass[class.Name()]++
			}
		}
	}
	return p, perClass, nil
}

// isDir follows links: large sets are often put together from them.
func isDir(dir string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(filepath.Join(dir, e.Name()))
	return err == nil && info.IsDir()
}

// openPhotos fills in a set whose parts s.scan lists. Classes are numbered in the order of their names, those of
// the training images; images stand in the order of class and name, so that a folder and a tar of it give the same batches.
func (s *spec) openPhotos(set *source, o data.Options) error {
	dir := set.info.Dir
	train, perClass, err := s.scan(dir, trainPart)
	if err != nil {
		return err
	}
	set.info.Classes = slices.Sorted(maps.Keys(perClass))
	if n := len(set.info.Classes); n < 1 || n > mostClasses {
		return fault.New("%s: has training images of %d classes: must be 1 to %d; it must hold %s", dir, n, mostClasses, s.layout)
	}
	for _, class := range set.info.Classes {
		if perClass[class] == 0 {
			return fault.New("%s: class %s has no training images: must have names that end in %s", dir, class, strings.Join(imageSuffixes, ", "))
		}
	}
	val, perClass, err := s.scan(dir, valPart)
	if err != nil {
		return err
	}
	if len(val.files) == 0 {
		return fault.New("%s: has no images in %s: must hold %s", dir, valPart, s.layout)
	}
	for _, class := range slices.Sorted(maps.Keys(perClass)) {
		if _, ok := slices.BinarySearch(set.info.Classes, class); !ok {
			return fault.New("%s: class %s of %s is not one of the %d classes of %s", dir, class, valPart, len(set.info.Classes), trainPart)
		}
	}
	shape := data.Shape{C: 3, H: side(o), W: side(o)}
	set.train, set.test = train.images(set.info.Classes, shape, o), val.images(set.info.Classes, shape, o)
	if slices.ContainsFunc(slices.Concat(train.files, val.files), func(f file) bool { return isJPEG(f.name) }) {
		return picture.JPEG()
	}
	return nil
}

func isJPEG(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".jpg" || ext == ".jpeg"
}

// images numbers the classes of p and puts its files in order.
func (p *photos) images(classes []string, shape data.Shape, o data.Options) Images {
	slices.SortFunc(p.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	p.set, p.resize = o.Set, shorter(o)
	m := Images{Shape: shape, photos: p, Labels: make([]uint16, len(p.files))}
	for i, f := range p.files {
		class, _, _ := strings.Cut(f.name, "/")
		label, _ := slices.BinarySearch(classes, class)
		m.Labels[i] = uint16(label)
	}
	return m
}
