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
func Encode(cfg any) ([]byte, error) { return encode(cfg, true) }

// Describe writes what Encode does, also with values that no recipe can have: the names of what a program of one's own has
// put together and nobody registered.
func Describe(cfg any) ([]byte, error) { return encode(cfg, false) }

func encode(cfg any, checked bool) ([]byte, error) {
	root, err := schema(cfg)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := root.encode(&b, "", checked, func(_ *field, line string) string { return line }); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// encode writes the keys of section f, the lines of values as finish leaves them. Where it leaves nothing, no line is
// written, nor one for a section in which there is none. If checked, a value outside its limits is a fault.
func (f *field) encode(b *bytes.Buffer, indent string, checked bool, finish func(f *field, line string) string) error {
	for _, child := range f.fields {
		if !child.section {
			if checked {
				if err := child.check(); err != nil {
					return err
				}
			}
			text, err := child.literal()
			if err != nil {
				return err
			}
			if line := finish(child, indent+child.name+": "+text); line != "" {
				fmt.Fprintln(b, line)
			}
			continue
		}
		if len(child.fields) == 0 {
			fmt.Fprintf(b, "%s%s: {}\n", indent, child.name)
			continue
		}
		start := b.Len()
		fmt.Fprintf(b, "%s%s:\n", indent, child.name)
		head := b.Len()
		if err := child.encode(b, indent+"  ", checked, finish); err != nil {
			return err
		}
		if b.Len() == head {
			b.Truncate(start)
		}
	}
	return nil
}

// literal writes a value on one line.
func (f *field) literal() (string, error) {
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
