package recipe

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/locus-learn/locus/internal/fault"
)

// Quickstart is the recipe that an empty name stands for.
const Quickstart = "quickstart"

// A file's name as a recipe is its path with "-" for "/": fashion/sgr.yaml is fashion-sgr. The file base.yaml of a folder
// has the folder's name. It is there to be built on and is not listed among the recipes.
//
//go:embed library
var library embed.FS

const baseFile = "base.yaml"

// Entry describes an embedded recipe, or a base of some.
type Entry struct {
	Name    string
	Summary string // its first comment line
	Base    string // the name of what it builds on; empty if it builds on the defaults alone
	IsBase  bool   // a folder's base, not a recipe of its own
	Depth   int    // in [Tree]: how many entries it lies below
}

// Names lists the embedded recipes by name, without the bases.
func Names() []Entry {
	return slices.DeleteFunc(slices.Clone(embedded().entries), func(e Entry) bool { return e.IsBase })
}

// Tree lists recipes and bases, each below what it builds on: recipes first, by name, then bases with theirs.
func Tree() []Entry {
	below := map[string][]Entry{}
	for _, e := range embedded().entries {
		below[e.Base] = append(below[e.Base], e)
	}
	var tree []Entry
	var add func(base string, depth int)
	add = func(base string, depth int) {
		for _, bases := range []bool{false, true} {
			for _, e := range below[base] {
				if e.IsBase == bases {
					e.Depth = depth
					tree = append(tree, e)
					add(e.Name, depth+1)
				}
			}
		}
	}
	add("", 0)
	return tree
}

// shelf is what is embedded: entries by name, and where each lies.
type shelf struct {
	entries []Entry
	files   map[string]string
}

var embedded = sync.OnceValue(func() shelf {
	s := shelf{files: map[string]string{}}
	err := fs.WalkDir(library, "library", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		doc, err := library.ReadFile(file)
		if err != nil {
			return err
		}
		base, _, err := baseOf(doc)
		if err != nil {
			return err
		}
		line, _, _ := strings.Cut(string(doc), "\n")
		e := Entry{Summary: strings.TrimSpace(strings.TrimLeft(line, "# ")), Base: base, IsBase: path.Base(file) == baseFile}
		e.Name = strings.TrimSuffix(strings.TrimPrefix(file, "library/"), ".yaml")
		if e.IsBase {
			e.Name = path.Dir(e.Name)
		}
		e.Name = strings.ReplaceAll(e.Name, "/", "-")
		s.entries, s.files[e.Name] = append(s.entries, e), file
		return nil
	})
	if err != nil {
		panic(err) // the program was built with a broken library; a test reads them all
	}
	slices.SortFunc(s.entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return s
})

// openEmbedded finds an embedded recipe or base, without what it builds on.
func openEmbedded(name string) (Source, error) {
	file, ok := embedded().files[name]
	if !ok {
		return Source{}, unknownRecipe(name)
	}
	doc, err := library.ReadFile(file)
	return Source{Name: name, Path: "embedded:" + strings.TrimPrefix(file, "library/"), Doc: doc, embedded: true}, err
}

func unknownRecipe(name string) error {
	var names []string
	for _, e := range embedded().entries {
		names = append(names, e.Name)
	}
	if near := nearest(name, names); near != "" {
		return fault.New("unknown recipe %s: did you mean %s?", show(name), near)
	}
	return fault.New("unknown recipe %s: must be a .yaml file or one that 'locus list recipes' shows", show(name))
}
