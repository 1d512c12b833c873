// Package registry keeps the entries that are chosen by name: methods, networks, heads, optimizers and data sets.
//
// A program of one's own adds entries before it uses any, usually from an init function or at the top of main.
package registry

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/locus-learn/locus/internal/fault"
)

// Registry holds entries in the order in which they were added. Its methods may be called from any goroutine.
type Registry[T any] struct {
	key  string // the recipe key that names an entry, such as "method.name"
	name func(T) string

	mu      sync.RWMutex
	entries []T
}

// New returns an empty registry. key is the recipe key that names an entry, and name returns an entry's own name.
func New[T any](key string, name func(T) string) *Registry[T] {
	return &Registry[T]{key: key, name: name}
}

var allowed = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]*$`)

// Add appends an entry. It panics on a name that is taken, or that is not lower-case letters, digits, '-', '_' and '.':
// both are mistakes of a program, not of its user.
func (r *Registry[T]) Add(entry T) {
	name := r.name(entry)
	if !allowed.MatchString(name) {
		panic(fmt.Sprintf("%s %q: a name is lower-case letters, digits, '-', '_' and '.'", r.key, name))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.entries, func(e T) bool { return r.name(e) == name }) {
		panic(fmt.Sprintf("%s %q is registered already", r.key, name))
	}
	r.entries = append(r.entries, entry)
}

// All returns a copy of the list of entries.
func (r *Registry[T]) All() []T {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.entries)
}

// Names lists the entries by name.
func (r *Registry[T]) Names() []string {
	var names []string
	for _, e := range r.All() {
		names = append(names, r.name(e))
	}
	return names
}

// Lookup returns the entry of a name, or a fault that lists those that there are.
func (r *Registry[T]) Lookup(name string) (entry T, err error) {
	for _, e := range r.All() {
		if r.name(e) == name {
			return e, nil
		}
	}
	return entry, fault.New("%s is %q: must be one of %s", r.key, name, strings.Join(r.Names(), ", "))
}
