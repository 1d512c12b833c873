package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
