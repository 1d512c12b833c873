package recipe

import "fmt"

// Difference is a key that two configurations have other values of, as [Describe] writes them.
type Difference struct{ Key, A, B string }

// Differ returns the keys whose values differ between two configurations of one type, in the order of the fields.
func Differ(a, b any) ([]Difference, error) {
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
	var all []Difference
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
			all = append(all, Difference{f.path, text, want})
		}
	}
	return all, nil
}
