package registry_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/registry"
)

type entry struct{ name, doc string }

func filled(names ...string) *registry.Registry[entry] {
	r := registry.New("thing.name", func(e entry) string { return e.name })
	for _, n := range names {
		r.Add(entry{n, "the " + n})
	}
	return r
}

func TestLookup(t *testing.T) {
	r := filled("b", "a", "resnet18_x-1.5")
	if got := r.Names(); !slices.Equal(got, []string{"b", "a", "resnet18_x-1.5"}) {
		t.Errorf("names %v: want the order of registration", got)
	}
	for _, name := range r.Names() {
		if e, err := r.Lookup(name); err != nil || e.doc != "the "+name {
			t.Errorf("%s: %v, error %v", name, e, err)
		}
	}
	_, err := r.Lookup("c")
	if !fault.Is(err) || !strings.Contains(err.Error(), `thing.name is "c": must be one of b, a, resnet18_x-1.5`) {
		t.Errorf("an unknown name: error %v", err)
	}
}

func TestAddRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"a": "registered already", "": "a name is", "A": "a name is", "a b": "a name is", "a/b": "a name is", "-a": "a name is", "a\n": "a name is",
	} {
		func() {
			defer func() {
				if p, _ := recover().(string); !strings.Contains(p, text) {
					t.Errorf("%q: panic %q, want one with %q", name, p, text)
				}
			}()
			filled("a").Add(entry{name: name})
		}()
	}
}

// What All returns belongs to the caller.
func TestAllIsACopy(t *testing.T) {
	r := filled("a", "b")
	r.All()[0] = entry{"x", ""}
	if got := r.Names(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("names %v", got)
	}
}
