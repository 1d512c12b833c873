package recipe

import "fmt"

// Differ returns the paths of the keys whose values differ between two configurations of one type, in the order of the
// fields.
func Differ(a, b any) ([]string, error) {
	first, err := schema(a)
	if err != nil {
		return nil, err
	}
	second, err := schema(b)
	if err != nil {
		return nil, err
	}
	other := map[string]string{}
	for f := range second.values() {
		if other[f.path], err = f.literal(); err != nil {
			return nil, err
		}
	}
	var paths []string
	for f := range first.values() {
		text, err := f.literal()
		if err != nil {
			return nil, err
		}
		want, known := other[f.path]
		if !known {
			return nil, fmt.Errorf("recipe: %T has a key %s that %T lacks", a, f.path, b)
		}
		if text != want {
			paths = append(paths, f.path)
		}
	}
	return paths, nil
}
