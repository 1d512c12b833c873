// Package fault tells errors that the user of a program can mend from all others, for programs that use Locus as a library.
//
// Whatever Locus returns for a value, a file or a name that cannot be used is a [Fault] somewhere in the error's chain: one
// line that names the thing, the value, and what is allowed. The command prints it and ends with exit code 2.
package fault

import "github.com/locus-learn/locus/internal/fault"

// Fault is an error that the user can mend. [errors.As] finds it.
type Fault = fault.Fault

// New formats a fault as fmt.Errorf does, for methods, networks and data sets of one's own; %w keeps the cause reachable.
func New(format string, args ...any) *Fault { return fault.New(format, args...) }

// Is reports whether a fault stands anywhere in err's chain.
func Is(err error) bool { return fault.Is(err) }
