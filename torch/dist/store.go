package dist

/*
#include <stdlib.h>
#include <stdint.h>
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// Store is where ranks leave each other their addresses until all have met.
type Store interface {
	// Set keeps a value under a key.
	Set(key string, value []byte) error
	// Get waits until somebody has set the key.
	Get(key string) ([]byte, error)
}

// Under returns a store whose keys lie under a prefix of their own, so that several groups can meet in one store.
func Under(s Store, prefix string) Store { return under{s, prefix + "/"} }

type under struct {
	Store
	prefix string
}

// Set implements [Store].
func (u under) Set(key string, value []byte) error { return u.Store.Set(u.prefix+key, value) }

// Get implements [Store].
func (u under) Get(key string) ([]byte, error) { return u.Store.Get(u.prefix + key) }

//export distStoreSet
func distStoreSet(store C.uintptr_t, key *C.char, value unsafe.Pointer, n C.size_t) C.int {
	s := cgo.Handle(store).Value().(Store)
	if s.Set(C.GoString(key), C.GoBytes(value, C.int(n))) != nil {
		return 0
	}
	return 1
}

//export distStoreGet
func distStoreGet(store C.uintptr_t, key *C.char, value *unsafe.Pointer, n *C.size_t) C.int {
	s := cgo.Handle(store).Value().(Store)
	got, err := s.Get(C.GoString(key))
	if err != nil {
		return 0
	}
	*value, *n = C.CBytes(got), C.size_t(len(got))
	return 1
}
