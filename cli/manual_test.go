package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

func TestManual(t *testing.T) {
	dir := t.TempDir()
	if err := Manual(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"locus.1": "local learning", "locus-train.1": "resume", "locus-data-check.1": "SET"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want) || !strings.Contains(string(text), ".TH") {
			t.Errorf("%s: %v, no %q in\n%.500s", name, err, want, text)
		}
	}
}

// What a terminal of 120 columns shows of a command's help is not broken within words.
func TestHelpFitsATerminal(t *testing.T) {
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		for line := range strings.Lines(c.Long + "\n" + c.Example) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 119 {
				t.Errorf("%s: %d columns, 119 are allowed: %s", c.CommandPath(), n, line)
			}
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(newRoot(io.Discard, io.Discard))
}
