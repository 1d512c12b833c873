// Package fault tells errors that a user can cause, and mend, from all others.
//
// The command line prints a fault as one line and exits with code 2; any other error exits with 1.
package fault

import (
	"errors"
	"fmt"

	"github.com/locus-learn/locus/internal/show"
)

// Fault is an error that the user can mend. Its text is one line that names the thing, the value and what is allowed.
type Fault struct {
	text  string
	cause error
}

func (f *Fault) Error() string { return f.text }

// Unwrap returns the error that was wrapped with %w, or nil.
func (f *Fault) Unwrap() error { return f.cause }

// New formats a fault as fmt.Errorf does; %w keeps the cause reachable for errors.Is. The text stays one line:
// control characters, such as those of file names, are escaped.
func New(format string, args ...any) *Fault {
	err := fmt.Errorf(format, args...)
	return &Fault{text: show.Line(show.Clip(err.Error(), most)), cause: errors.Unwrap(err)}
}

// most is the length of a fault in bytes, roughly: a file may have names of any length.
const most = 2000

// Is reports whether a fault stands anywhere in err's chain.
func Is(err error) bool {
	var f *Fault
	return errors.As(err, &f)
}
