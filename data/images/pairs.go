package images

import (
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
)

// labelSuffix ends the names of entries that hold the label of the image beside them, as in webdataset's shards: 17.jpg and
// 17.cls, which is a whole number as text.
const labelSuffix = ".cls"

// mostLabelBytes bounds such an entry: a number and a line's end.
const mostLabelBytes = 32

// sampleKey is what the entries of one sample have in common: the name up to the first dot.
func sampleKey(name string) string {
	dir, base := path.Split(name)
	key, _, _ := strings.Cut(base, ".")
	return dir + key
}

// readLabel reads the number of a class from an entry of so many bytes.
func readLabel(name string, r io.Reader, size int64) (class string, err error) {
	if size > mostLabelBytes {
		return "", fault.New("entry %q has %d bytes: must be a whole number from 0 to %d, the class of the image beside it", name, size, mostClasses-1)
	}
	text, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return "", fault.New("is truncated or no uncompressed tar file: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n >= mostClasses {
		return "", fault.New("entry %q is %q: must be a whole number from 0 to %d, the class of the image beside it", name, text, mostClasses-1)
	}
	return strconv.FormatUint(n, 10), nil
}

// paired returns the images of a shard that have a label beside them, and counts other entries as passed over.
func (p *photos) paired(all []file, labels map[string]string) (files []file) {
	for _, f := range all {
		class, labelled := labels[sampleKey(f.name)]
		switch {
		case !isImage(f.name):
			p.passed.add(f.name, noImage)
		case !labelled:
			p.passed.add(f.name, noLabel)
		default:
			f.class = class
			files = append(files, f)
		}
	}
	return files
}

// sortClasses puts classes in order: by their names; of pairs by their numbers, so that label n comes before label n + 1; of
// columns as these stand.
func (p *photos) sortClasses(classes []string) []string {
	if p.columns != nil {
		return slices.Clone(p.columns)
	}
	if p.pairs {
		number := func(class string) int {
			n, _ := strconv.Atoi(class)
			return n
		}
		slices.SortFunc(classes, func(a, b string) int { return number(a) - number(b) })
		return classes
	}
	slices.Sort(classes)
	return classes
}
