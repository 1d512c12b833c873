package recipe

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/locus-learn/locus/internal/fault"
)

var (
	errForm = errors.New("not of the type's form")

	floatForm = regexp.MustCompile(`^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$`)
	// Short enough to expand: 1e4 and 2.0 are whole numbers, 1e999999999 would fill the memory.
	wholeForm = regexp.MustCompile(`^[-+]?\d{1,30}(\.\d{0,30})?([eE][-+]?\d{1,2})?$`)
)

// isUint, isNumber and noun sort the types that a single value can have.
func isUint(t reflect.Type) bool { return reflect.Zero(t).CanUint() }

func isNumber(t reflect.Type) bool {
	v := reflect.Zero(t)
	return v.CanInt() || v.CanUint() || v.CanFloat()
}

// noun says what a value of type t must be; it is empty if there can be none.
func noun(t reflect.Type) string {
	switch v := reflect.Zero(t); {
	case v.Kind() == reflect.String:
		return "UTF-8 text"
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.CanInt(), v.CanUint():
		return "a whole number"
	case v.CanFloat():
		return "a number"
	}
	return ""
}

func (f *field) typeName() string {
	if f.text {
		return "text"
	}
	name := strings.TrimRight(f.elem.Kind().String(), "0123456789")
	if f.list {
		return "list of " + name
	}
	return name
}

// parse reads a single value: errForm if text is nothing of type t, strconv.ErrRange if t is too small for it.
func parse(t reflect.Type, text string) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	var err error
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool && slices.Contains([]string{"true", "True", "TRUE"}, text):
		v.SetBool(true)
	case v.Kind() == reflect.Bool && slices.Contains([]string{"false", "False", "FALSE"}, text):
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(whole(text), 10, t.Bits())
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(whole(text), 10, t.Bits())
		v.SetUint(n)
	case v.CanFloat() && floatForm.MatchString(text):
		var x float64
		x, err = strconv.ParseFloat(text, t.Bits())
		v.SetFloat(x)
	default:
		err = errForm
	}
	return v, err
}

// whole expands a whole number to its digits; other text it returns as it is.
func whole(text string) string {
	if !wholeForm.MatchString(text) {
		return text
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok || !r.IsInt() {
		return text
	}
	return r.Num().String()
}

// format writes a single value so that parse reads the same one.
func format(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10)
	}
	form := byte('f')
	if a := math.Abs(v.Float()); a != 0 && (a < 1e-6 || a >= 1e15) {
		form = 'e'
	}
	return strconv.FormatFloat(v.Float(), form, -1, v.Type().Bits())
}

// allow reports whether a single value is within the limits, and can be written at all.
func (l *limits) allow(v reflect.Value) bool {
	switch {
	case v.Kind() == reflect.String:
		return utf8.ValidString(v.String()) && (l.oneof == nil || slices.Contains(l.oneof, v.String()))
	case v.CanFloat() && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)):
		return false
	}
	return (!l.min.IsValid() || compare(v, l.min) >= 0) &&
		(!l.max.IsValid() || compare(v, l.max) <= 0) &&
		(!l.above.IsValid() || compare(v, l.above) > 0)
}

// compare orders two numbers of the same type.
func compare(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	}
	return cmp.Compare(a.Float(), b.Float())
}

// check holds the value that is there now against the limits.
func (f *field) check() error {
	if f.text {
		_, err := f.marshal(f.value)
		return err
	}
	if f.list {
		if err := f.checkLength(f.value.Len()); err != nil {
			return err
		}
	}
	for i, v := range f.singles() {
		if !f.allow(v) {
			return f.rejectOne(i, show(format(v)))
		}
	}
	return nil
}

func (f *field) checkLength(n int) error {
	if !f.list || n <= f.most {
		return nil
	}
	return fault.New("%s has %d values: must have at most %d", f.path, n, f.most)
}

// singles yields the elements of a list, or just the value.
func (f *field) singles() iter.Seq2[int, reflect.Value] {
	return func(yield func(int, reflect.Value) bool) {
		if !f.list {
			yield(0, f.value)
			return
		}
		for i := range f.value.Len() {
			if !yield(i, f.value.Index(i)) {
				return
			}
		}
	}
}

// rejectOne complains about element i of a list, or about the value.
func (f *field) rejectOne(i int, shown string) error {
	if f.list {
		return reject(fmt.Sprintf("%s[%d]", f.path, i), shown, f.each)
	}
	return reject(f.path, shown, f.allowed)
}
