package recipe

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Encode writes every key of cfg as YAML, in the order of the fields: equal values give equal bytes, and decoding them
// over any cfg gives the same values exactly. It fails on a value outside its limits, which Decode would refuse.
func Encode(cfg any) ([]byte, error) {
	root, err := schema(cfg)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := root.encode(&b, ""); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// encode writes the keys of section f.
func (f *field) encode(b *bytes.Buffer, indent string) error {
	for _, child := range f.fields {
		if !child.section {
			text, err := child.literal()
			if err != nil {
				return err
			}
			fmt.Fprintf(b, "%s%s: %s\n", indent, child.name, text)
			continue
		}
		open := ""
		if len(child.fields) == 0 {
			open = " {}"
		}
		fmt.Fprintf(b, "%s%s:%s\n", indent, child.name, open)
		if err := child.encode(b, indent+"  "); err != nil {
			return err
		}
	}
	return nil
}

// literal writes a value on one line.
func (f *field) literal() (string, error) {
	if err := f.check(); err != nil {
		return "", err
	}
	if f.text {
		text, err := f.marshal(f.value)
		if !floatForm.MatchString(text) {
			text = quote(text)
		}
		return text, err
	}
	var texts []string
	for _, v := range f.singles() {
		text := format(v)
		if f.elem.Kind() == reflect.String {
			text = quote(text)
		}
		texts = append(texts, text)
	}
	if f.list {
		return "[" + strings.Join(texts, ", ") + "]", nil
	}
	return texts[0], nil
}

var plainForm = regexp.MustCompile(`^[A-Za-z/][\w./-]*$`)

// quote writes text so that every YAML reader takes it for text. What strconv escapes, YAML escapes alike.
func quote(text string) string {
	words := []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
	if plainForm.MatchString(text) && !slices.Contains(words, strings.ToLower(text)) {
		return text
	}
	return strconv.Quote(text)
}
