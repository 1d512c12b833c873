package recipe

import (
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
)

// join is the path of the key name of section f.
func (f *field) join(name string) string {
	if f.path == "" {
		return name
	}
	return f.path + "." + name
}

// title names a section in a complaint.
func (f *field) title() string {
	if f.path == "" {
		return "the recipe"
	}
	return f.path
}

// child returns the key name of a section, nil if there is none.
func (f *field) child(name string) *field {
	i := slices.IndexFunc(f.fields, func(c *field) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return f.fields[i]
}

// lookup finds a key by its path from f.
func (f *field) lookup(path string) (*field, error) {
	for name := range strings.SplitSeq(path, ".") {
		if !f.section {
			return nil, fault.New("unknown key %s: %s is a value, not a section", show(path), f.path)
		}
		child := f.child(name)
		if child == nil {
			return nil, f.unknown(name)
		}
		f = child
	}
	return f, nil
}

// unknown complains about a key that section f lacks. It offers the key that was likely meant, or all there are.
func (f *field) unknown(name string) error {
	key := show(f.join(name))
	root := f
	for root.parent != nil {
		root = root.parent
	}
	for other := range root.values() {
		if other.name == name { // in another section
			return fault.New("unknown key %s: did you mean %s?", key, other.path)
		}
	}
	names := make([]string, len(f.fields))
	for i, child := range f.fields {
		names[i] = child.name
	}
	if near := nearest(name, names); near != "" {
		return fault.New("unknown key %s: did you mean %s?", key, f.join(near))
	}
	return fault.New("unknown key %s: the keys of %s are %s", key, f.title(), f.keyList())
}

// keyList names the keys of a section by their paths.
func (f *field) keyList() string {
	paths := make([]string, len(f.fields))
	for i, child := range f.fields {
		paths[i] = child.path
	}
	return strings.Join(paths, ", ")
}

// nearest returns the candidate that name is most likely a slip of, "" if none comes near.
func nearest(name string, candidates []string) string {
	if len(name) > 64 {
		return ""
	}
	best, limit := "", max(1, (len(name)+1)/3)
	for _, c := range candidates {
		if d := distance(name, c); d < limit || d == limit && best == "" {
			best, limit = c, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete or replace to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1) // row[j]: from the part of a seen so far to b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
