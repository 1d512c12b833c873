package recipe

import (
	"cmp"
	"encoding"
	"fmt"
	"iter"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// field is one key of a configuration and the place where its value lies: a section, or a value with its limits.
type field struct {
	parent     *field // nil for the root
	name, path string // the root's are empty
	doc        string
	value      reflect.Value // addressable

	section bool
	fields  []*field // of a section, in declaration order

	elem       reflect.Type // of a value: its type, or its elements' type for a list
	list       bool
	text       bool // marshals itself to and from text
	fallback   string
	hasDefault bool
	limits
}

// limits is what the tags allow of a value, or of each element of a list. An invalid bound is absent.
type limits struct {
	min, max, above reflect.Value
	low, high       string // the bounds as they are written
	unbounded       string // why a number has no bounds; empty where it has to have them
	most            int    // elements of a list
	oneof           []string
	asked           bool   // the section's method Choices has these
	allowed         string // all of it in words, to follow "must be"
	each            string // the same for one element
}

// mostElements is the limit of lists that have no tag len.
const mostElements = 4096

var (
	keyForm       = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	marshalType   = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshalType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// schema reads the tags of the struct that cfg points to.
func schema(cfg any) (*field, error) {
	v := reflect.ValueOf(cfg)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("recipe: %T is not a pointer to a struct", cfg)
	}
	root := &field{value: v.Elem(), section: true}
	if err := root.open(); err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	return root, nil
}

// open finds the fields of a section.
func (f *field) open() error {
	for sf, v := range f.value.Fields() {
		tag, tagged := sf.Tag.Lookup("recipe")
		if tag == "-" || !sf.IsExported() {
			continue
		}
		where := fmt.Sprintf("%s.%s", f.value.Type(), sf.Name)
		if !tagged {
			return fmt.Errorf(`%s needs the tag recipe:"key", or recipe:"-"`, where)
		}
		if !keyForm.MatchString(tag) || f.child(tag) != nil || f.parent == nil && tag == baseKey {
			return fmt.Errorf("%s: key %q is taken or not of the form a_b1", where, tag)
		}
		child := &field{parent: f, name: tag, path: f.join(tag), doc: sf.Tag.Get("doc"), value: v}
		if err := child.describe(sf); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		f.fields = append(f.fields, child)
	}
	return nil
}

// describe settles what kind of field this is, and its limits.
func (f *field) describe(sf reflect.StructField) error {
	f.elem = sf.Type
	pointer := reflect.PointerTo(sf.Type)
	f.text = pointer.Implements(marshalType) && pointer.Implements(unmarshalType)
	switch {
	case f.text:
	case sf.Type.Kind() == reflect.Struct:
		f.section = true
		return f.open()
	case sf.Type.Kind() == reflect.Slice:
		f.list, f.elem = true, sf.Type.Elem()
	}
	if !f.text && noun(f.elem) == "" {
		return fmt.Errorf("type %s is not supported", sf.Type)
	}
	f.fallback, f.hasDefault = sf.Tag.Lookup("default")
	return f.limit(sf.Tag)
}

// limit reads the bounds and puts them in words.
func (f *field) limit(tag reflect.StructTag) error {
	bounds := []struct {
		name, words string
		to          *reflect.Value
	}{{"above", "above", &f.above}, {"min", "at least", &f.min}, {"max", "at most", &f.max}}
	var words []string
	if isUint(f.elem) && tag.Get("min")+tag.Get("above") == "" {
		words = append(words, "at least 0")
	}
	for _, b := range bounds {
		text, ok := tag.Lookup(b.name)
		if !ok {
			continue
		}
		bound, err := parse(f.elem, text)
		if f.text || !isNumber(f.elem) || err != nil {
			return fmt.Errorf("tag %s:%q does not fit type %s", b.name, text, f.elem)
		}
		*b.to = bound
		words = append(words, b.words+" "+text)
	}
	f.low, f.high, f.unbounded = tag.Get("min")+tag.Get("above"), tag.Get("max"), tag.Get("unbounded")
	f.each = strings.TrimSpace(noun(f.elem) + " " + strings.Join(words, " and "))
	if err := f.choose(tag); err != nil {
		return err
	}
	if err := f.measure(tag); err != nil {
		return err
	}
	switch {
	case f.text:
		f.allowed = "a word, a number or a list" // the type itself knows more
	case f.list:
		f.allowed = "a list, each " + f.each
	default:
		f.allowed = f.each
	}
	f.allowed = cmp.Or(tag.Get("allowed"), f.allowed)
	return nil
}

// choices are all values that there are, nil where they are too many.
func (f *field) choices() []string {
	if f.elem.Kind() == reflect.Bool && !f.list {
		return []string{"true", "false"}
	}
	return f.oneof
}

// choose reads the choices: those of the tag, or, for "@", those that the section knows.
func (f *field) choose(tag reflect.StructTag) error {
	choices, ok := tag.Lookup("oneof")
	if !ok {
		return nil
	}
	if f.text || f.elem.Kind() != reflect.String {
		return fmt.Errorf("tag oneof does not fit type %s", f.elem)
	}
	f.oneof = strings.Fields(choices)
	if choices == "@" {
		section, ok := f.parent.value.Addr().Interface().(interface{ Choices(key string) []string })
		if !ok {
			return fmt.Errorf(`tag oneof:"@" needs a method Choices(key string) []string of %s`, f.parent.value.Type())
		}
		f.oneof, f.asked = section.Choices(f.name), true
	}
	f.each = "one of " + strings.Join(f.oneof, ", ")
	return nil
}

// measure reads how long a list may be.
func (f *field) measure(tag reflect.StructTag) error {
	f.most = mostElements
	text, ok := tag.Lookup("len")
	if !ok {
		return nil
	}
	var err error
	if f.most, err = strconv.Atoi(text); err != nil || !f.list || f.most < 1 {
		return fmt.Errorf("tag len:%q does not fit type %s", text, f.value.Type())
	}
	return nil
}

// values yields every value below f, in the order of the fields.
func (f *field) values() iter.Seq[*field] {
	return func(yield func(*field) bool) { f.walk(yield) }
}

func (f *field) walk(yield func(*field) bool) bool {
	if !f.section {
		return yield(f)
	}
	for _, child := range f.fields {
		if !child.walk(yield) {
			return false
		}
	}
	return true
}
