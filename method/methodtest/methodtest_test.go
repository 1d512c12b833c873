package methodtest_test

import (
	"testing"

	"github.com/locus-learn/locus/method/methodtest"
)

// Every method keeps what it claims.
func TestMethodsConform(t *testing.T) {
	subjects, err := methodtest.Subjects(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range subjects {
		t.Run(s.Name, func(t *testing.T) {
			methodtest.Run(s, func(f methodtest.Finding) {
				if f.Failed() {
					t.Errorf("%s: %s", f.Check, f.Failure)
				}
				t.Logf("%s: %s (%.2f s)", f.Check, f.Note, f.Seconds)
			})
		})
	}
}
