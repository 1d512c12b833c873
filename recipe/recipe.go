// Package recipe fills typed options from defaults, YAML and key=value assignments, and writes the resolved copy.
//
// Options are plain structs, declared by the packages that use them and nested into one root struct. Tags say it all:
//
//	type Options struct {
//		Name  string    `recipe:"name" default:"sgd" oneof:"sgd adamw" doc:"update rule"`
//		LR    float64   `recipe:"lr" default:"0.1" above:"0" max:"10" doc:"learning rate"`
//		Betas []float64 `recipe:"betas" default:"0.9,0.999" min:"0" max:"1" doc:"decay rates"`
//	}
//
// An exported field needs the tag recipe, its key, or recipe:"-" to be left alone. A struct is a section. A value is a
// string, a bool, a number, a list of these, or a type with both MarshalText and UnmarshalText, which is handed a YAML
// list as one text, "a,b,c". The tags min and max are inclusive, above is not; on a list they and oneof hold for each
// element, and len says how many there may be, 4096 unless set. With oneof:"@" the choices come from the section's method
// Choices(key string) []string. The tag allowed replaces the derived wording of what a value may be. An empty list is
// always nil. A number has a lower and an upper bound, or unbounded:"why not"; see [Unbounded].
//
// A section, or the root, may have a method Validate() error for what tags cannot say; see [Validate] and [Invalid].
//
// A document's key base names another recipe, which is laid under it; see [Open]. So no root struct may have such a key.
//
// What a user can get wrong is a *fault.Fault of one line. A struct that breaks the rules above is a mistake in the
// program and an ordinary error, returned by every function here.
package recipe

import (
	"errors"
	"fmt"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
)

// Key documents one value of a configuration.
type Key struct {
	Path    string // dotted, from the root: "optim.lr"
	Type    string // "string", "bool", "int", "float", "list of int", ..., or "text" for a type with its own syntax
	Default string // as in the tag; empty without one
	Allowed string // what a value must be: "a number above 0 and at most 10"
	Doc     string

	// Bounds of a number, or of each in a list, as in the tags min, or above, and max; empty without.
	Low, High string

	Choices []string // all values of a word or of a truth value; nil of anything else
}

// Defaults sets every key of the struct that cfg points to from its default tag, or to zero without one.
func Defaults(cfg any) error {
	root, err := schema(cfg)
	if err != nil {
		return err
	}
	for f := range root.values() {
		f.value.SetZero()
		if !f.hasDefault {
			continue
		}
		if err := f.setText(f.fallback); err != nil {
			return fmt.Errorf("recipe: default of %s: %v", f.path, err) // %v: not the user's fault
		}
	}
	return nil
}

// Complete puts the default in the place of every zero of cfg that its key does not allow: a program that fills a struct
// itself may leave such fields out. Other values stay as they are; see [Validate].
func Complete(cfg any) error {
	root, err := schema(cfg)
	if err != nil {
		return err
	}
	for f := range root.values() {
		if !f.hasDefault || !f.value.IsZero() || f.check() == nil {
			continue
		}
		if err := f.setText(f.fallback); err != nil {
			return fmt.Errorf("recipe: default of %s: %v", f.path, err)
		}
	}
	return nil
}

// Set overrides one key of cfg, which must be filled already: "optim.lr=0.05". A list is written a,b,c or [a, b, c].
// It checks the key's own limits; Validate methods wait for [Validate].
func Set(cfg any, assignment string) error {
	root, err := schema(cfg)
	if err != nil {
		return err
	}
	path, text, ok := strings.Cut(assignment, "=")
	if !ok {
		return fault.New("assignment %s has no =: must be key=value, such as seed=2", show(assignment))
	}
	f, err := root.lookup(strings.TrimSpace(path))
	if err != nil {
		return err
	}
	if f.section {
		return fault.New("%s is a section: set one of its keys: %s", f.path, f.keyList())
	}
	return f.setText(text)
}

// Validate checks the limits of every key of cfg and calls the Validate methods, those of inner sections first.
// It returns the first fault; one made by [Invalid] has its key prefixed with the section's path.
func Validate(cfg any) error {
	root, err := schema(cfg)
	if err != nil {
		return err
	}
	return root.validate()
}

func (f *field) validate() error {
	if !f.section {
		return f.check()
	}
	for _, child := range f.fields {
		if err := child.validate(); err != nil {
			return err
		}
	}
	if v, ok := f.value.Addr().Interface().(interface{ Validate() error }); ok {
		return f.qualify(v.Validate())
	}
	return nil
}

// qualify turns what a section's Validate method returned into a fault that names the section.
func (f *field) qualify(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*invalid](err); ok {
		return reject(f.join(e.key), e.value, e.allowed)
	}
	if f.path == "" {
		return fault.New("%s", oneLine(err.Error()))
	}
	return fault.New("%s: %s", f.path, oneLine(err.Error()))
}

// Invalid is the error for a section's Validate method to return: key, named within the section, has a value other than
// allowed, which reads on from "must be": Invalid("warmup", o.Warmup, "less than epochs").
func Invalid(key string, value any, allowed string) error {
	shown := fmt.Sprint(value)
	if text, ok := value.(string); ok {
		shown = show(text)
	}
	return &invalid{key, oneLine(shown), allowed}
}

type invalid struct{ key, value, allowed string }

func (e *invalid) Error() string { return reject(e.key, e.value, e.allowed).Error() }

// Unwrap makes the error a fault even where no section is there to name.
func (e *invalid) Unwrap() error { return reject(e.key, e.value, e.allowed) }

// reject is the one form of complaint about a value.
func reject(path, shown, allowed string) *fault.Fault {
	return fault.New("%s is %s: must be %s", path, shown, allowed)
}

// Keys lists every key of cfg in the order of the fields.
func Keys(cfg any) ([]Key, error) {
	root, err := schema(cfg)
	if err != nil {
		return nil, err
	}
	var keys []Key
	for f := range root.values() {
		keys = append(keys, Key{f.path, f.typeName(), f.fallback, f.allowed, f.doc, f.low, f.high, f.choices()})
	}
	return keys, nil
}

// Unbounded lists the keys of cfg whose numbers lack a lower or an upper bound and do not say why. Who takes values from
// strangers wants none: what can be written should be what can be built.
func Unbounded(cfg any) ([]string, error) {
	root, err := schema(cfg)
	if err != nil {
		return nil, err
	}
	var open []string
	for f := range root.values() {
		low := f.min.IsValid() || f.above.IsValid() || isUint(f.elem)
		if !f.text && isNumber(f.elem) && !(low && f.max.IsValid()) && f.unbounded == "" {
			open = append(open, f.path)
		}
	}
	return open, nil
}
