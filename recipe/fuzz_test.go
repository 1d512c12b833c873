package recipe

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/locus-learn/locus/internal/fault"
)

// FuzzDecode holds that any document is either a fault of one line that names the source, or a configuration within
// its limits that survives being written and read.
func FuzzDecode(f *testing.F) {
	for _, doc := range []string{
		"", "---", "seed: 1e4", "a: &a [*a]", "name: \"\\x00\\u2028\"", "name: |\n  two\n  lines\n", "? [a]\n: b",
		"data: {set: cifar10, mean: [0.5, 1e-1], files: ['', \"a,b\"], validation: [1, 2]}",
		"optim:\n  lr: 5e-4\n  milestones:\n  - 1\n", "seed: 1\n--- x", "\xff\xfea\x00", "%YAML 1.1\n---\n{}", "!!map {}",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		c := defaults(t)
		if err := Decode("fuzz.yaml", doc, c); err != nil {
			checkForm(t, err)
			if !strings.HasPrefix(err.Error(), "fuzz.yaml:") {
				t.Errorf("%q does not name the source", err)
			}
			return
		}
		checkLimits(t, c)
		checkRoundTrip(t, c)
	})
}

// FuzzSet holds the same of assignments, and that one that fails changes nothing.
func FuzzSet(f *testing.F) {
	for _, assignment := range []string{
		"seed=1e4", "seed=-1", "name==", "data.set=cifar10", "data.mean=[0.1, 1]", "data.files=a,,b", "optim.lr=1e-400",
		"optim.milestones=[1, 2]", "data.validation=[a, 'b']", "data.files=[&a b, *a]", "x", "optim.=1", "threads=12.70e1", "data.validation=\xff",
	} {
		f.Add(assignment)
	}
	f.Fuzz(func(t *testing.T, assignment string) {
		c := defaults(t)
		if err := Set(c, assignment); err != nil {
			checkForm(t, err)
			if diff := cmp.Diff(defaults(t), c, compareConfigs); diff != "" {
				t.Errorf("changed in spite of %v: %s", err, diff)
			}
			return
		}
		checkLimits(t, c)
		checkRoundTrip(t, c)
	})
}

func checkForm(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if !fault.Is(err) || strings.ContainsAny(text, "\n\r") || !utf8.ValidString(text) || len(text) > 400 {
		t.Errorf("not a fault of one short line: %q", text)
	}
}

// checkLimits repeats the limits of config by hand.
func checkLimits(t *testing.T, c *config) {
	t.Helper()
	ok := c.Threads >= 0 && (c.Data.Set == "mnist" || c.Data.Set == "cifar10") && c.Optim.LR > 0 && c.Optim.LR <= 10 &&
		c.Optim.MinLR-c.Optim.MinLR == 0 && utf8.ValidString(fmt.Sprint(c.Name, c.Data.Files, c.Data.Validation.text))
	for _, m := range c.Data.Mean {
		ok = ok && m >= 0 && m <= 1
	}
	for _, m := range c.Optim.Milestones {
		ok = ok && m >= 1
	}
	if !ok {
		t.Errorf("outside its limits: %+v", c)
	}
}
