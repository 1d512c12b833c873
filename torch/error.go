package torch

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"strings"
)

// Kind says why libtorch has refused an operation.
type Kind int

const (
	Other       Kind = iota // shapes that do not fit, and the like
	OutOfMemory             // there was not enough memory on the device
	Unsupported             // libtorch has no such operation for these types or on this device
)

// Error is what an operation panics with when libtorch refuses it.
type Error struct {
	Op   string // the operation, as named in this package
	Text string // libtorch's own message, first line
	Kind Kind
}

func (e *Error) Error() string { return "torch: " + e.Op + ": " + e.Text }

// Asked returns the size that could not be had, as libtorch words it ("2.00 GiB"); "" of other errors, and where the
// message does not say.
func (e *Error) Asked() string {
	if e.Kind != OutOfMemory {
		return ""
	}
	_, rest, _ := strings.Cut(e.Text, "Tried to allocate ")
	number, rest, _ := strings.Cut(rest, " ")
	unit, _, _ := strings.Cut(rest, ".")
	if number == "" || unit == "" {
		return ""
	}
	return number + " " + unit
}

// Catch recovers an [*Error] panic into *err. Defer it at the border between mathematics and the rest; all other
// panics go on.
func Catch(err *error) {
	switch p := recover().(type) {
	case nil:
	case *Error:
		*err = p
	default:
		panic(p)
	}
}

// check panics when a shim call has returned a message.
func check(op string, msg *C.char) {
	if msg != nil {
		panic(refusal(op, takeString(msg)))
	}
}

// refusal reads a message of the shim's: a byte for the kind, then the text.
func refusal(op, message string) *Error {
	text, _, _ := strings.Cut(message[1:], "\n")
	e := &Error{Op: op, Text: text}
	switch message[0] {
	case C.LT_MEMORY:
		e.Kind = OutOfMemory
	case C.LT_UNSUPPORTED:
		e.Kind = Unsupported
	}
	return e
}
