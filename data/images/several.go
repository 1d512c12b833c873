package images

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
)

// scanSeveral lists dir/CLASS/… as [scanFolder] does, where an image lies in the folder of each of its classes under the same
// name: as a copy, or as a link. It is read from the first of them.
func scanSeveral(dir string) (p *photos, perClass map[string]int, err error) {
	if p, perClass, err = scanFolder(dir); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(p.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	at := map[string]int{} // an image's name within its class → its place
	var once []file
	for _, f := range p.files {
		class, name, _ := strings.Cut(f.name, "/")
		i, known := at[name]
		if !known {
			i = len(once)
			at[name] = i
			once = append(once, f)
		} else if same, err := p.sameImage(once[i].name, f.name); err != nil || !same {
			return nil, nil, differ(err, dir, once[i].name, f.name)
		}
		once[i].all = append(once[i].all, class)
	}
	p.files, p.many = once, true
	return p, perClass, nil
}

func differ(err error, dir, a, b string) error {
	if err != nil {
		return fault.New("%s: %s and %s cannot be compared: %w", show.Name(dir), show.Name(a), show.Name(b), cause(err))
	}
	return fault.New("%s: %s and %s have one name and are not the same image: must be copies or links of one, or have names of their own",
		show.Name(dir), show.Name(a), show.Name(b))
}

// sameImage reports whether two names within p.dir are of one file, or of files with the same bytes.
func (p *photos) sameImage(a, b string) (bool, error) {
	paths := []string{filepath.Join(p.dir, filepath.FromSlash(a)), filepath.Join(p.dir, filepath.FromSlash(b))}
	var infos []os.FileInfo
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return false, err
		}
		infos = append(infos, info)
	}
	switch {
	case os.SameFile(infos[0], infos[1]):
		return true, nil
	case infos[0].Size() != infos[1].Size() || infos[0].Size() > maxFile:
		return false, nil
	}
	first, err := disk.ReadFile(paths[0])
	if err != nil {
		return false, err
	}
	second, err := disk.ReadFile(paths[1])
	return bytes.Equal(first, second), err
}
