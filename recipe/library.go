package recipe

import (
	"embed"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
)

// Quickstart is the recipe that an empty name stands for.
const Quickstart = "quickstart"

//go:embed library/*.yaml
var library embed.FS

// Source is a recipe as it was found, not yet decoded.
type Source struct {
	Name string // the file's name without its extension
	Path string // what to call it in messages: the path as it was given, or "embedded:NAME.yaml"
	Doc  []byte
}

// Entry describes an embedded recipe.
type Entry struct {
	Name    string
	Summary string // its first comment line
}

// Open reads the recipe that a user named: an embedded one, or a file if the name has a path separator or ends in .yaml
// or .yml. The empty name is the [Quickstart]. A name that is not embedded, and a file that cannot be read or is no
// text of a recipe's size, are faults.
func Open(nameOrPath string) (Source, error) {
	ext := filepath.Ext(nameOrPath)
	if strings.ContainsRune(filepath.ToSlash(nameOrPath), '/') || ext == ".yaml" || ext == ".yml" {
		doc, err := readFile(nameOrPath)
		if err != nil {
			return Source{}, err
		}
		return Source{strings.TrimSuffix(filepath.Base(nameOrPath), ext), nameOrPath, doc}, nil
	}
	name := nameOrPath
	if name == "" {
		name = Quickstart
	}
	doc, err := library.ReadFile("library/" + name + ".yaml")
	if err != nil {
		return Source{}, unknownRecipe(name)
	}
	return Source{name, "embedded:" + name + ".yaml", doc}, nil
}

// readFile reads no more than a recipe can have, whatever the file turns out to be.
func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	defer file.Close()
	doc, err := io.ReadAll(io.LimitReader(file, maxDocument+1))
	if err != nil {
		return nil, unreadable(name, err)
	}
	if len(doc) > maxDocument {
		return nil, fault.New("recipe %s is too large: must have at most %d bytes", show(name), maxDocument)
	}
	return doc, nil
}

func unreadable(name string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // the path is in the message already
	}
	return fault.New("recipe %s cannot be read: %w", show(name), err)
}

func unknownRecipe(name string) error {
	var names []string
	for _, e := range Names() {
		names = append(names, e.Name)
	}
	if near := nearest(name, names); near != "" {
		return fault.New("unknown recipe %s: did you mean %s?", show(name), near)
	}
	return fault.New("unknown recipe %s: must be a .yaml file or one that 'locus list recipes' shows", show(name))
}

// Names lists the embedded recipes by name.
func Names() []Entry {
	files, _ := fs.Glob(library, "library/*.yaml") // fails on a malformed pattern alone
	var entries []Entry
	for _, file := range files {
		doc, _ := library.ReadFile(file) // cannot fail: it was just listed
		line, _, _ := strings.Cut(string(doc), "\n")
		name := strings.TrimSuffix(path.Base(file), ".yaml")
		entries = append(entries, Entry{name, strings.TrimSpace(strings.TrimLeft(line, "# "))})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }) // ".yaml" sorts after "-"
	return entries
}
