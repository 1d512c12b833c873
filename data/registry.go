package data

import (
	"context"

	"github.com/locus-learn/locus/internal/registry"
)

// EnvDir names the environment variable that lists folders with sets, separated as in $PATH.
const EnvDir = "LOCUS_DATA"

// Entry is a set that a recipe's data.set can name.
type Entry struct {
	Name string // lower-case letters, digits, '-', '_' and '.'
	Doc  string // a line for lists

	// Open opens the whole set; package data divides and limits it as o asks. It looks for files in dirs (what --data names), in
	// o.Dir, and wherever else the set is at home; a set that is made in memory looks nowhere. Errors that the user can mend
	// are faults.
	Open func(o Options, dirs []string) (Source, error)

	// Check returns a fault that names the first key, within the data section, that the set cannot use. It reads no file.
	// Without it, keys for images are refused: see Options.
	Check func(o Options) error

	// Home is for sets in files; nil for others.
	Home *Home
}

// Home says what the files of a set are, and where.
type Home struct {
	Shape       Shape    // of a sample; zero where the set is not known before it is open
	Classes     int      // the same
	Train, Test int      // samples that the official set has; the same
	Own         bool     // the user's own files, so that nothing is known before the set is open
	Files       []string // all are needed; each may also carry the suffix .gz
	Get         string   // how to get the set

	// Find returns the folder where at least one of the files is, "" if nowhere, and the folders that it looked in. It reads no
	// contents.
	Find func(dirs []string) (dir string, looked []string)

	// Check reads all of the set. A broken set is reported, not an error; a missing one is a fault.
	Check func(ctx context.Context, dirs []string) (Report, error)
}

var entries = registry.New("set", func(e Entry) string { return e.Name })

// Register makes a set known by its name, for all of the process. Call it before anything is opened, such as from an init
// function. It panics on an entry without Open, on a name that is taken, and on one that is not lower-case letters, digits,
// '-', '_' and '.'.
func Register(e Entry) {
	if e.Open == nil {
		panic("data: Register: set " + e.Name + " has no Open")
	}
	entries.Add(e)
}

// Sets returns what is registered, in that order.
func Sets() []Entry { return entries.All() }

// Names returns the names of what is registered, in that order.
func Names() []string { return entries.Names() }

// Lookup returns the set of a name, or a fault that lists those there are.
func Lookup(name string) (Entry, error) { return entries.Lookup(name) }
