package data

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// Identified is implemented by [Samples] that can tell themselves from others in a few characters: of the same samples in
// the same order it is the same, of any others it is another.
type Identified interface{ Fingerprint() string }

// Fingerprint tells whether two sets have the same classes and samples in the same order. It is short, to be stored with
// whatever depends on them. A part is empty where nothing is known of it.
type Fingerprint struct {
	Classes    string
	Train      string
	Validation string
	Test       string
}

// FingerprintOf returns a set's fingerprint. Of samples that are not Identified it has the number only.
func FingerprintOf(s Source) Fingerprint {
	classes := fnv.New64a()
	for _, name := range s.Info().Classes {
		fmt.Fprintf(classes, "%q\n", name)
	}
	return Fingerprint{
		Classes: fmt.Sprintf("%d:%016x", len(s.Info().Classes), classes.Sum64()),
		Train:   identity(s.Part(Train)), Validation: identity(s.Part(Validation)), Test: identity(s.Part(Test)),
	}
}

// WithoutSizes returns what does not depend on the sizes of files: those that could not be read may have been mended.
func (f Fingerprint) WithoutSizes() Fingerprint {
	for _, part := range []*string{&f.Train, &f.Validation, &f.Test} {
		*part, _, _ = strings.Cut(*part, "-")
	}
	return f
}

func identity(s Samples) string {
	id := ""
	if s, ok := s.(Identified); ok {
		id = s.Fingerprint()
	}
	return fmt.Sprintf("%d:%s", s.Len(), id)
}

// Differ says in words what differs from an earlier fingerprint, "" if nothing does. An earlier one that is empty, of a
// time when there were none, differs in nothing. One that knew less is the beginning of today's, up to a hyphen.
func (f Fingerprint) Differ(earlier Fingerprint) string {
	for _, part := range []struct{ name, now, then string }{
		{"classes", f.Classes, earlier.Classes}, {"training samples", f.Train, earlier.Train},
		{"validation samples", f.Validation, earlier.Validation}, {"test samples", f.Test, earlier.Test},
	} {
		if part.then != "" && part.now != part.then && !strings.HasPrefix(part.now, part.then+"-") {
			return part.name
		}
	}
	return ""
}
