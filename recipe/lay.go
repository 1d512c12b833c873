package recipe

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Origins says where values come from, by the path of their key: "optim.lr" to "base fashion". A key that is not there
// has its default.
type Origins map[string]string

// Lay fills cfg with the defaults and lays the recipe over them: what it builds on first, its own document last. See
// [Decode] for what is a fault. The origins are titles of sources, "base" before those that the recipe builds on.
func (s Source) Lay(cfg any) (Origins, error) {
	if err := Defaults(cfg); err != nil {
		return nil, err
	}
	origins := Origins{}
	return origins, s.lay(cfg, "", origins)
}

func (s Source) lay(cfg any, role string, origins Origins) error {
	if s.Base != nil {
		if err := s.Base.lay(cfg, "base ", origins); err != nil {
			return err
		}
	}
	root, err := schema(cfg)
	if err != nil {
		return err
	}
	node, err := parseDocument(s.Doc)
	if err != nil {
		return locate(s.Path, err)
	}
	if s.Base != nil {
		cutBase(node)
	}
	if node == nil {
		return nil
	}
	if err := root.fill(node); err != nil {
		return locate(s.Path, err)
	}
	root.trace(node, role+s.Title(), origins)
	return nil
}

// trace notes the origin of every value that a document, found good, has for section f.
func (f *field) trace(node *yaml.Node, origin string, to Origins) {
	for i := 0; i < len(node.Content); i += 2 {
		child := f.child(node.Content[i].Value)
		if child.section {
			child.trace(node.Content[i+1], origin, to)
			continue
		}
		to[child.path] = origin
	}
}

// Set overrides one key as the function [Set] does, and notes the origin.
func (o Origins) Set(cfg any, assignment, origin string) error {
	if err := Set(cfg, assignment); err != nil {
		return err
	}
	path, _, _ := strings.Cut(assignment, "=")
	o[strings.TrimSpace(path)] = origin
	return nil
}

// Annotate writes cfg as [Encode] does, each value with its origin in a comment. With brief it leaves out what has its
// default. Both read as recipes again.
func (o Origins) Annotate(cfg any, brief bool) ([]byte, error) {
	root, err := schema(cfg)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = root.encode(&b, "", true, func(f *field, line string) string {
		origin, ok := o[f.path]
		switch {
		case !ok && brief:
			return ""
		case !ok:
			origin = "default"
		}
		return fmt.Sprintf("%-44s  # %s", line, origin)
	})
	return b.Bytes(), err
}
