package recipe

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/sniff"
)

// Source is a recipe as it was found, not yet laid over a configuration.
type Source struct {
	Name string // the file's name without its extension
	Path string // what to call it in messages: the path as it was given, or "embedded:PATH"
	Doc  []byte
	Base *Source // what it builds on: its key "base" names it; nil for the defaults alone

	embedded bool
}

// Embedded reports whether the recipe is one of the library.
func (s Source) Embedded() bool { return s.embedded }

// baseKey is the key of a document's first level that names the recipe it builds on.
const baseKey = "base"

// maxBases is how many recipes may lie below one.
const maxBases = 8

// Open reads the recipe that a user named, and those that it builds on. A name is an embedded recipe or base, or a file
// if it has a path separator or ends in .yaml or .yml. The empty name is the [Quickstart]. The key base of a document
// names likewise, but a file's path is relative to the document's folder. Faults are: a name that is not embedded, a
// file that cannot be read or is no text of a recipe's size, bases that lead back to themselves, more than eight.
func Open(nameOrPath string) (Source, error) {
	source, err := openOne(nameOrPath)
	if err != nil {
		return Source{}, err
	}
	chain := []string{source.key()}
	for s := &source; ; s = s.Base {
		name, line, err := baseOf(s.Doc)
		if err != nil {
			return Source{}, locate(s.Path, err)
		}
		if name == "" {
			return source, nil
		}
		base, err := s.openBase(name)
		switch again := slices.Index(chain, base.key()); {
		case err != nil:
			err = fault.New("base is %s: %w", show(name), err)
		case again >= 0:
			err = fault.New("base is %s: must not lead back to itself: %s", show(name), strings.Join(append(chain[again:], base.key()), " → "))
		case len(chain) > maxBases:
			err = fault.New("base is %s: must not lie more than %d bases deep", show(name), maxBases)
		}
		if err != nil {
			return Source{}, locate(s.Path, &located{line, err})
		}
		s.Base, chain = &base, append(chain, base.key())
	}
}

// Title names a source to its reader: an embedded one by its name, a file by its path.
func (s Source) Title() string {
	if s.embedded {
		return s.Name
	}
	return s.Path
}

// key is the same for the same recipe, as long as no links are between.
func (s Source) key() string {
	if s.embedded {
		return s.Name
	}
	return show(filepath.Clean(s.Path))
}

func isFile(name string) bool {
	ext := filepath.Ext(name)
	return strings.ContainsRune(filepath.ToSlash(name), '/') || ext == ".yaml" || ext == ".yml"
}

func openOne(nameOrPath string) (Source, error) {
	if nameOrPath == "" {
		nameOrPath = Quickstart
	}
	if !isFile(nameOrPath) {
		return openEmbedded(nameOrPath)
	}
	return openFile(nameOrPath)
}

func openFile(file string) (Source, error) {
	doc, err := readFile(file)
	if what := sniff.What(doc); err == nil && len(doc) > 0 && doc[0] != '{' && what != "" { // {"…" may be YAML
		err = fault.New("recipe %s cannot be read: it %s", show(file), what)
	}
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	return Source{Name: name, Path: file, Doc: doc}, err
}

// openBase opens what a document names: a file's path is relative to the document's folder.
func (s Source) openBase(name string) (Source, error) {
	switch {
	case s.embedded || !isFile(name):
		return openEmbedded(name)
	case filepath.IsAbs(name):
		return openFile(name)
	}
	return openFile(filepath.Join(filepath.Dir(s.Path), name))
}

// baseOf returns what a document names as its base and the line where it does; "" if it names none.
func baseOf(doc []byte) (name string, line int, err error) {
	root, err := parseDocument(doc)
	if err != nil {
		return "", 0, err
	}
	value := cutBase(root)
	if value == nil {
		return "", 0, nil
	}
	if value.Kind != yaml.ScalarNode || isNull(value) || value.Value == "" {
		return "", 0, at(value, reject(baseKey, shape(value), "the name of a recipe or the path of a .yaml file"))
	}
	if again := cutBase(root); again != nil {
		return "", 0, at(again, fault.New("key base stands in line %d already: must stand once", value.Line))
	}
	return value.Value, value.Line, nil
}

// cutBase takes the key base out of a document and returns its value; nil if there is none.
func cutBase(root *yaml.Node) *yaml.Node {
	if root == nil || root.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(root.Content); i += 2 {
		if root.Content[i].Value == baseKey {
			value := root.Content[i+1]
			root.Content = slices.Delete(root.Content, i, i+2)
			return value
		}
	}
	return nil
}

// readFile reads no more than a recipe can have, whatever the file turns out to be.
func readFile(name string) ([]byte, error) {
	doc, err := disk.ReadSmall(name, maxDocument)
	if err != nil {
		return nil, unreadable(name, err)
	}
	return doc, nil
}

func unreadable(name string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // the path is in the message already
	}
	return fault.New("recipe %s cannot be read: %w", show(name), err)
}
