package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/locus-learn/locus/internal/fault"
)

// maxDocument is the size in bytes above which a document is refused: no recipe comes near it.
const maxDocument = 1 << 20

// Decode lays the YAML document doc over cfg: keys that it does not name keep their value, so call [Defaults] first.
// An empty document names none. It is strict: an unknown, repeated or null key, a value of the wrong type or outside its
// limits, an anchor, an alias, a tag or a second document is a fault that begins with source and the line.
// Validate methods wait for [Validate]. After an error cfg may be filled in part. The key base is unknown here: a recipe
// that builds on another one is read by [Open] and [Source.Lay].
func Decode(source string, doc []byte, cfg any) error {
	root, err := schema(cfg)
	if err != nil {
		return err
	}
	return root.decode(source, doc)
}

// Recall is [Decode] for what [Describe] wrote, to compare it with something: names of which a method Choices has the list are
// taken whatever they are, since the program that wrote them may have known others.
func Recall(source string, doc []byte, cfg any) error {
	root, err := schema(cfg)
	if err != nil {
		return err
	}
	for f := range root.values() {
		if f.asked {
			f.oneof = nil
		}
	}
	return root.decode(source, doc)
}

func (f *field) decode(source string, doc []byte) error {
	node, err := parseDocument(doc)
	if err == nil && node != nil {
		err = f.fill(node)
	}
	return locate(source, err)
}

// locate puts the document's name and the line, if there is one, before an error.
func locate(source string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*located](err); ok && e.line > 0 {
		return fault.New("%s:%d: %w", source, e.line, e.error)
	}
	return fault.New("%s: %w", source, err)
}

// located is an error with its line in the document, 0 if there is none.
type located struct {
	line int
	error
}

func (l *located) Unwrap() error { return l.error }

func at(node *yaml.Node, err error) error { return &located{node.Line, err} }

// parseDocument returns the one value of a document, nil if it is empty.
func parseDocument(doc []byte) (*yaml.Node, error) {
	if len(doc) > maxDocument {
		return nil, fault.New("document has %d bytes: must have at most %d", len(doc), maxDocument)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(doc))
	var first, second yaml.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntaxFault(err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, at(&second, fault.New("a second document begins: must be the only one"))
	case !errors.Is(err, io.EOF):
		return nil, syntaxFault(err)
	}
	node := first.Content[0]
	if err := refuseExtras(node); err != nil {
		return nil, err
	}
	if isNull(node) && node.Value == "" {
		return nil, nil // no more than "---"
	}
	return node, nil
}

var syntaxForm = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)

// syntaxFault folds an error of the YAML library into one line and finds the line that it names.
func syntaxFault(err error) error {
	parts := syntaxForm.FindStringSubmatch(oneLine(err.Error()))
	line, _ := strconv.Atoi(parts[1]) // 0, no line, where the library names none

	if strings.Contains(parts[2], "cannot start any token") { // of the library, for the usual one
		return &located{line, fault.New("not valid YAML: a tab, or another character that no value begins with; lines are indented by spaces")}
	}
	return &located{line, fault.New("not valid YAML: %s", clip(parts[2], 160))}
}

// refuseExtras refuses what a recipe has no use for and what could make a small document huge.
func refuseExtras(node *yaml.Node) error {
	extra := ""
	switch {
	case node.Kind == yaml.AliasNode:
		extra = "alias *" + show(node.Value)
	case node.Anchor != "":
		extra = "anchor &" + show(node.Anchor)
	case node.Style&yaml.TaggedStyle != 0:
		extra = "tag " + show(node.Tag)
	}
	if extra != "" {
		return at(node, fault.New("%s: must be plain YAML without anchors, aliases and tags", extra))
	}
	for _, child := range node.Content {
		if err := refuseExtras(child); err != nil {
			return err
		}
	}
	return nil
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// shape shows a node in a complaint.
func shape(node *yaml.Node) string {
	switch {
	case node.Kind == yaml.MappingNode:
		return "a mapping"
	case node.Kind == yaml.SequenceNode:
		return fmt.Sprintf("a list of %d", len(node.Content))
	case isNull(node):
		return "null"
	case isQuoted(node):
		return strconv.Quote(clip(node.Value, maxShown))
	}
	return show(node.Value)
}

func isQuoted(node *yaml.Node) bool {
	const quotes = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	return node.Style&quotes != 0
}
