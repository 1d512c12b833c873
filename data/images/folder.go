package images

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/picture"
	"github.com/locus-learn/locus/internal/show"
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
	return holdsFolder(dir, trainPart) && holdsFolder(dir, valPart)
}

func holdsFolder(dir, part string) bool {
	info, err := os.Stat(filepath.Join(dir, part))
	return err == nil && info.IsDir()
}

// scanFolder lists dir/CLASS/…: the images, in no order, and a count of 0 for a class without any. Folders below a class are
// taken, too, and links are followed.
func scanFolder(dir string) (p *photos, perClass map[string]int, err error) {
	p = &photos{dir: dir}
	perClass = map[string]int{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fault.New("%s: %w", show.Name(dir), cause(err))
	}
	for _, e := range entries {
		switch {
		case isDir(dir, e) && strings.HasPrefix(e.Name(), "."):
			p.passHidden(e.Name())
		case isDir(dir, e):
			perClass[e.Name()] = 0
			if err := p.walk(e.Name(), nil); err != nil {
				return nil, nil, err
			}
		case !isDir(dir, e):
			p.wants(e.Name()) // it is not: it counts as passed over
		}
	}
	for _, f := range p.files {
		perClass[f.classOf()]++
	}
	return p, perClass, nil
}

// walk adds the images of a folder, named within p.dir with slashes, and of the folders below it. above are the folders on the
// way to it. A link to a folder that the link itself lies in is passed over: images of other classes lie there, too.
func (p *photos) walk(name string, above []fs.FileInfo) error {
	dir := filepath.Join(p.dir, filepath.FromSlash(name))
	info, err := os.Stat(dir)
	if err != nil {
		return fault.New("%s: %w", show.Name(dir), cause(err))
	}
	if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) { // links to and fro
		p.passed.add(name, loop)
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fault.New("%s: %w", show.Name(dir), cause(err))
	}
	for _, e := range entries {
		inside := name + "/" + e.Name()
		switch {
		case isDir(dir, e):
			switch {
			case strings.HasPrefix(e.Name(), "."):
				p.passHidden(inside)
			case e.Type()&fs.ModeSymlink != 0 && leadsUp(dir, e.Name()):
				p.passed.add(inside, loop)
			default:
				if err := p.walk(inside, append(above, info)); err != nil {
					return err
				}
			}
		case p.wants(inside):
			f := file{name: inside, shard: standalone}
			if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil { // what is broken is told when it is read
				f.size = info.Size()
			}
			p.files = append(p.files, f)
		}
	}
	return nil
}

// leadsUp reports whether a link in dir leads to dir itself or to a folder above it, whatever other links the way there has.
func leadsUp(dir, link string) bool {
	from, err1 := filepath.EvalSymlinks(dir)
	to, err2 := filepath.EvalSymlinks(filepath.Join(dir, link))
	if err1 != nil || err2 != nil {
		return true
	}
	from, err1 = filepath.Abs(from)
	to, err2 = filepath.Abs(to)
	rel, err3 := filepath.Rel(to, from)
	return errors.Join(err1, err2, err3) != nil || filepath.IsLocal(rel)
}

// passHidden counts the images of a hidden folder and of those below it.
func (p *photos) passHidden(name string) {
	dir := filepath.Join(p.dir, filepath.FromSlash(name))
	_ = filepath.WalkDir(dir, func(at string, e fs.DirEntry, err error) error { // what cannot be read there is not missed
		if rel, inside := strings.CutPrefix(at, dir); err == nil && inside && !e.IsDir() {
			p.wants(name + filepath.ToSlash(rel)) // it is not, for the folder's name
		}
		return nil
	})
}

// wants reports whether a file of that name is an image of a class, and counts it as passed over if not. What is hidden and has
// no image's name, such as .DS_Store, does not count.
func (p *photos) wants(name string) bool {
	folder, base := path.Split(name)
	if strings.HasPrefix(folder, ".") || strings.Contains(folder, "/.") {
		if isImage(name) {
			p.passed.add(name, hidden)
		}
		return false
	}
	switch {
	case isImage(name) && strings.Contains(name, "/"):
		return true
	case isImage(name):
		p.passed.add(name, noClass)
	case isImage(strings.TrimLeft(base, "._")):
		p.passed.add(name, hidden)
	case !strings.HasPrefix(base, "."):
		p.passed.add(name, noImage)
	}
	return false
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
// the training images; images stand in the order of their whole names CLASS/…, byte by byte, so that a folder and a tar of it give the same batches.
func (s *spec) openPhotos(set *source, o data.Options) error {
	dir := set.info.Dir
	train, perClass, err := s.scan(dir, trainPart)
	if err != nil {
		return err
	}
	set.info.Classes, set.info.MultiLabel = train.sortClasses(slices.Collect(maps.Keys(perClass))), train.many
	if err := s.checkClasses(dir, set.info.Classes, perClass, train.many); err != nil {
		return err
	}
	if line := missing(trainPart, set.info.Classes, perClass); line != "" {
		set.info.Notes = append(set.info.Notes, line)
	}
	if train.note != "" {
		set.info.Notes = append(set.info.Notes, train.note)
	}
	if o.Test > 0 && !s.holds(dir) { // the test images are split off
		if line := train.passed.line(); line != "" {
			set.info.Notes = append(set.info.Notes, line)
		}
		return s.number(set, train, &photos{dir: dir}, o)
	}
	val, perClass, err := s.scan(dir, valPart)
	if err != nil {
		return err
	}
	if len(val.files) == 0 {
		return fault.New("%s: has no images in %s: must hold %s", show.Name(dir), valPart, s.layout)
	}
	if err := train.alike(val, dir); err != nil {
		return err
	}
	for _, class := range slices.Sorted(maps.Keys(perClass)) {
		if !slices.Contains(set.info.Classes, class) {
			return fault.New("%s: class %s of %s is not one of the %d classes of %s", show.Name(dir), show.Name(class), valPart,
				len(set.info.Classes), trainPart)
		}
	}
	train.passed.join(val.passed)
	for _, line := range []string{train.passed.line(), missing(valPart, set.info.Classes, perClass), val.repeats(train)} {
		if line != "" {
			set.info.Notes = append(set.info.Notes, line)
		}
	}
	return s.number(set, train, val, o)
}

// repeats says that test images are training images; "" if they are not. Those of one name and size are taken to be the same if the
// first, the middle and the last of them have the same bytes.
func (p *photos) repeats(train *photos) string {
	type key struct {
		name string
		size int64
	}
	at := map[key]int{}
	for i, f := range p.files {
		at[key{f.name, f.size}] = i
	}
	var pairs [][2]int
	for i, f := range train.files {
		if j, ok := at[key{f.name, f.size}]; ok {
			pairs = append(pairs, [2]int{i, j})
		}
	}
	if len(pairs) == 0 {
		return ""
	}
	for _, pair := range [][2]int{pairs[0], pairs[len(pairs)/2], pairs[len(pairs)-1]} {
		one, errOne := train.read(pair[0], nil)
		two, errTwo := p.read(pair[1], nil)
		if errOne != nil || errTwo != nil || !bytes.Equal(one, two) {
			return ""
		}
	}
	return fmt.Sprintf("%d of %d images in %s are training images, too, by name, size and bytes of some (such as %s): accuracy on them says little",
		len(pairs), len(p.files), valPart, show.Name(p.files[pairs[0][1]].name))
}

// number makes the parts of a set of the files that were found.
func (s *spec) number(set *source, train, val *photos, o data.Options) error {
	shape := data.Shape{C: 3, H: side(o), W: side(o)}
	set.train, set.test = train.images(set.info.Classes, shape, o), val.images(set.info.Classes, shape, o)
	if slices.ContainsFunc(slices.Concat(train.files, val.files), func(f file) bool { return isJPEG(f.name) }) {
		return picture.JPEG()
	}
	return nil
}

// checkClasses wants images of each class, unless they may have none, and that the classes are not parts: a folder train inside of train.
func (s *spec) checkClasses(dir string, classes []string, perClass map[string]int, many bool) error {
	if n := len(classes); n < 1 || n > mostClasses {
		return fault.New("%s: has training images of %d classes: must be 1 to %d; it must hold %s", show.Name(dir), n, mostClasses, s.layout)
	}
	if only := classes[0]; len(classes) == 1 && (only == trainPart || only == valPart) {
		return fault.New("%s: its %s holds nothing but %s, which would be the only class: move what is inside one level up",
			show.Name(dir), trainPart, only)
	}
	for _, class := range classes {
		if perClass[class] == 0 && !many {
			return fault.New("%s: class %s has no training images: must have names that end in %s", show.Name(dir), show.Name(class),
				strings.Join(imageSuffixes, ", "))
		}
	}
	return nil
}

// alike returns a fault unless the test images tell their classes as the training images do.
func (p *photos) alike(val *photos, dir string) error {
	several := map[bool]string{true: "any number of classes", false: "one class"}
	if p.many != val.many {
		return fault.New("%s: its images have %s in %s and %s in %s: must be the same in both", show.Name(dir), several[p.many], trainPart, several[val.many], valPart)
	}
	for _, class := range p.columns {
		if val.columns != nil && !slices.Contains(val.columns, class) {
			return fault.New("%s: %s has no column for class %s, which %s has: must have the same columns", show.Name(dir), valPart, show.Name(class), trainPart)
		}
	}
	return nil
}

func isJPEG(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".jpg" || ext == ".jpeg"
}

// images numbers the classes of p and puts its files in order.
func (p *photos) images(classes []string, shape data.Shape, o data.Options) Images {
	if !p.pairs { // whose keys may repeat from shard to shard
		slices.SortFunc(p.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	}
	labels := map[string]uint16{}
	for label, class := range classes {
		labels[class] = uint16(label)
	}
	p.set, p.resize = o.Set, shorter(o)
	m := Images{Shape: shape, photos: p}
	if p.many {
		m.classes, m.Sets = len(classes), make([][]uint16, len(p.files))
		for i, f := range p.files {
			for _, class := range f.all {
				m.Sets[i] = append(m.Sets[i], labels[class])
			}
			slices.Sort(m.Sets[i])
		}
		return m
	}
	m.Labels = make([]uint16, len(p.files))
	for i, f := range p.files {
		m.Labels[i] = labels[f.classOf()]
	}
	return m
}
