package recipe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLibrary(t *testing.T) {
	entries := Names()
	if len(entries) < 222 || !slices.IsSortedFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("%d recipes, or out of order: %v", len(entries), entries)
	}
	summaries := map[string]string{}
	for _, e := range Tree() {
		src, err := Open(e.Name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(src.Doc), "# "+e.Summary+"\n") || len(e.Summary) < 20 || summaries[e.Summary] != "" {
			t.Errorf("%s: no summary of its own in the first line: %q", e.Name, e.Summary)
		}
		summaries[e.Summary] = e.Name
	}
}

// A tree has every entry once, below what it builds on.
func TestTree(t *testing.T) {
	var above []string // names from the root to the entry before
	bases, tree := 0, Tree()
	for _, e := range tree {
		above = above[:e.Depth]
		if parent := ""; e.Depth > 0 {
			parent = above[e.Depth-1]
			if e.Base != parent {
				t.Errorf("%s stands below %s, builds on %q", e.Name, parent, e.Base)
			}
		} else if e.Base != "" {
			t.Errorf("%s stands at the root, builds on %s", e.Name, e.Base)
		}
		above = append(above, e.Name)
		if e.IsBase {
			bases++
		}
	}
	if len(tree) != len(Names())+bases || bases < 30 {
		t.Errorf("%d entries, %d recipes, %d bases", len(tree), len(Names()), bases)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "my.run.yml")
	if err := os.WriteFile(file, []byte("seed: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, make([]byte, maxDocument+1), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := Open(file)
	if err != nil || src.Name != "my.run" || src.Path != file || string(src.Doc) != "seed: 2\n" {
		t.Errorf("Open(%s) = %+v, %v", file, src, err)
	}
	src, err = Open("")
	if err != nil || src.Name != Quickstart || src.Path != "embedded:quickstart.yaml" {
		t.Errorf(`Open("") = %+v, %v`, src, err)
	}
	t.Chdir(dir)
	_, err = Open("large.yaml")
	checkFault(t, "large", err, "recipe large.yaml cannot be read: it is too large: must have at most 1048576 bytes")
	_, err = Open("./none")
	checkFault(t, "missing", err, "recipe ./none cannot be read: no such file or directory")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
	_, err = Open("./")
	checkFault(t, "directory", err, "recipe ./ cannot be read: it is a folder, not a file")
	_, err = Open("fashon-sgr")
	checkFault(t, "slip", err, "unknown recipe fashon-sgr: did you mean fashion-sgr?")
	_, err = Open("what")
	checkFault(t, "unknown", err, "unknown recipe what: must be a .yaml file or one that 'locus list recipes' shows")
}
