package recipe

import (
	"encoding"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/locus-learn/locus/internal/fault"
)

// fill stores what node stands for. Errors are located.
func (f *field) fill(node *yaml.Node) error {
	switch {
	case f.section:
		return f.fillSection(node)
	case f.text:
		return f.fillText(node)
	case f.list && node.Kind == yaml.SequenceNode:
		return f.fillSingles(node.Content)
	case !f.list && node.Kind == yaml.ScalarNode:
		return f.fillSingles([]*yaml.Node{node})
	}
	return at(node, reject(f.path, shape(node), f.allowed))
}

func (f *field) fillSection(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return at(node, reject(f.title(), shape(node), "a mapping of keys"))
	}
	lines := map[string]int{}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return at(key, fault.New("a key of %s is %s: must be a word", f.title(), shape(key)))
		}
		child := f.child(key.Value)
		if child == nil {
			return at(key, f.unknown(key.Value))
		}
		if line, ok := lines[key.Value]; ok {
			return at(key, fault.New("key %s stands in line %d already: must stand once", child.path, line))
		}
		lines[key.Value] = key.Line
		if err := child.fill(value); err != nil {
			return err
		}
	}
	return nil
}

// fillSingles stores the elements of a list, or the one value.
func (f *field) fillSingles(nodes []*yaml.Node) error {
	var values []reflect.Value
	if err := f.checkLength(len(nodes)); err != nil {
		return at(nodes[0], err)
	}
	for i, node := range nodes {
		if node.Kind != yaml.ScalarNode || isNull(node) || isQuoted(node) && f.elem.Kind() != reflect.String {
			return at(node, f.rejectOne(i, shape(node)))
		}
		v, err := parse(f.elem, node.Value)
		if errors.Is(err, strconv.ErrRange) {
			return at(node, fault.New("%s is %s: must fit in %d bits", f.path, shape(node), f.elem.Bits()))
		}
		if err != nil || !f.allow(v) {
			return at(node, f.rejectOne(i, shape(node)))
		}
		values = append(values, v)
	}
	if f.list {
		f.value.Set(reflect.Append(reflect.Zero(f.value.Type()), values...))
	} else {
		f.value.Set(values[0])
	}
	return nil
}

// fillText hands a text type its text; the elements of a list are joined by commas.
func (f *field) fillText(node *yaml.Node) error {
	parts := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		parts = node.Content
	}
	var texts []string
	for _, part := range parts {
		if part.Kind != yaml.ScalarNode || isNull(part) {
			return at(part, reject(f.path, shape(part), f.allowed))
		}
		texts = append(texts, part.Value)
	}
	text := strings.Join(texts, ",")
	v := reflect.New(f.elem).Elem()
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		return at(node, fault.New("%s is %s: %s", f.path, show(text), oneLine(err.Error())))
	}
	if _, err := f.marshal(v); err != nil {
		return at(node, err)
	}
	f.value.Set(v)
	return nil
}

// marshal returns the text of v, a value of f's text type.
func (f *field) marshal(v reflect.Value) (string, error) {
	text, err := v.Addr().Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return "", fault.New("%s: %s", f.path, oneLine(err.Error()))
	}
	if !utf8.Valid(text) {
		return "", reject(f.path, show(string(text)), "UTF-8 text")
	}
	return string(text), nil
}

// setText stores a value written outside YAML, in an assignment or a default tag.
func (f *field) setText(text string) error {
	node, err := f.textNode(text)
	if err == nil {
		err = f.fill(node)
	}
	if e, ok := errors.AsType[*located](err); ok {
		return e.error // there are no lines to speak of
	}
	return err
}

// textNode is the node that text would be in a document; words such as null have no meaning of their own here.
func (f *field) textNode(text string) (*yaml.Node, error) {
	word := func(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
	trimmed := strings.TrimSpace(text)
	switch {
	case (f.list || f.text) && strings.HasPrefix(trimmed, "["):
		node, err := parseDocument([]byte(trimmed))
		if e, ok := errors.AsType[*located](err); ok {
			err = fault.New("%s is %s: %w", f.path, show(trimmed), e.error)
		}
		return node, err
	case f.list:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		if trimmed != "" {
			for part := range strings.SplitSeq(trimmed, ",") {
				list.Content = append(list.Content, word(strings.TrimSpace(part)))
			}
		}
		return list, nil
	case f.elem.Kind() == reflect.String:
		return word(text), nil
	}
	return word(trimmed), nil
}
