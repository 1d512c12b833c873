package study

import (
	"embed"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
)

//go:embed library
var library embed.FS

// Entry describes an embedded study.
type Entry struct{ Name, About string }

// Names lists the embedded studies by name. The first line of each is a comment that sums it up.
func Names() []Entry {
	files, err := library.ReadDir("library")
	if err != nil {
		panic(err) // the program was built with a broken library; a test reads them all
	}
	var all []Entry
	for _, f := range files {
		doc, err := library.ReadFile("library/" + f.Name())
		if err != nil {
			panic(err)
		}
		line, _, _ := strings.Cut(string(doc), "\n")
		all = append(all, Entry{strings.TrimSuffix(f.Name(), ".yaml"), strings.TrimSpace(strings.TrimLeft(line, "# "))})
	}
	return all
}

func embedded(name string) ([]byte, error) {
	if doc, err := library.ReadFile("library/" + name + ".yaml"); err == nil && name != "" {
		return doc, nil
	}
	var names []string
	for _, e := range Names() {
		names = append(names, e.Name)
	}
	return nil, fault.New("unknown study %s: must be a .yaml file or one of %s", show.Name(name), strings.Join(names, ", "))
}
