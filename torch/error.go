package torch

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"regexp"
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

// Shortage says what an [OutOfMemory] error knows of sizes, as libtorch words them ("2.00 GiB"); "" where it does not tell.
type Shortage struct {
	Asked string // what could not be had
	Held  string // what tensors took at that time
	Free  string // what the device had left
}

var (
	askedText = regexp.MustCompile(`Tried to allocate (\d[\d.]* \w+)`)
	heldText  = regexp.MustCompile(`(\d[\d.]* \w+) is allocated`)
	freeText  = regexp.MustCompile(`of which (\d[\d.]* \w+) is free`)
)

// Shortage reads the sizes from the text of an error of kind [OutOfMemory].
func (e *Error) Shortage() Shortage {
	first := func(pattern *regexp.Regexp) string {
		if found := pattern.FindStringSubmatch(e.Text); found != nil {
			return found[1]
		}
		return ""
	}
	return Shortage{first(askedText), first(heldText), first(freeText)}
}

// String lists what is known: "asked for 2.00 GiB, held 60.00 GiB, free 1.10 GiB".
func (s Shortage) String() string {
	var parts []string
	for _, p := range []struct{ what, size string }{{"asked for ", s.Asked}, {"held ", s.Held}, {"free ", s.Free}} {
		if p.size != "" {
			parts = append(parts, p.what+p.size)
		}
	}
	return strings.Join(parts, ", ")
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
