package torch

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"strings"
)

// Error is what an operation panics with when libtorch refuses it: shapes that do not fit, memory that is not there.
type Error struct {
	Op   string // the operation, as named in this package
	Text string // libtorch's own message, first line
}

func (e *Error) Error() string { return "torch: " + e.Op + ": " + e.Text }

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
	if msg == nil {
		return
	}
	text, _, _ := strings.Cut(takeString(msg), "\n")
	panic(&Error{Op: op, Text: text})
}
