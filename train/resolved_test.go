package train

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/recipe"
)

var update = flag.Bool("update", false, "write the golden values anew")

const resolvedFile = "testdata/resolved.txt"

// Every embedded recipe resolves to what it did when testdata/resolved.txt was written. The file's first line names the
// keys that its hashes are over, so a new key changes nothing as long as it stays out of the file; a changed default
// does. "go test ./train -run ResolveAsBefore -update" writes the file anew, with all keys there are.
func TestEmbeddedRecipesResolveAsBefore(t *testing.T) {
	golden, err := os.ReadFile(resolvedFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(golden)), "\n")
	keys := strings.Fields(lines[0])
	if *update {
		keys = allKeys(t)
	}
	got := []string{strings.Join(keys, " ")}
	for _, e := range recipe.Names() {
		c, err := Load(e.Name, nil)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Name+" "+resolvedHash(t, c, keys))
	}
	if *update {
		if err := os.WriteFile(resolvedFile, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, line := range lines {
		if !slices.Contains(got, line) {
			t.Errorf("no recipe resolves to %q any more", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(lines, line) {
			t.Errorf("%q is new", line)
		}
	}
}

func allKeys(t *testing.T) (paths []string) {
	t.Helper()
	keys, err := recipe.Keys(&Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		paths = append(paths, k.Path)
	}
	return paths
}

// resolvedHash is a hash of the values that a configuration has for some keys.
func resolvedHash(t *testing.T, c Config, keys []string) string {
	t.Helper()
	doc, err := recipe.Encode(&c)
	if err != nil {
		t.Fatal(err)
	}
	values := flatten(doc)
	hash := sha256.New()
	for _, key := range keys {
		value, ok := values[key]
		if !ok {
			t.Fatalf("there is no key %s any more", key)
		}
		fmt.Fprintf(hash, "%s: %s\n", key, value)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8])
}

// flatten reads what recipe.Encode wrote: sections by indentation, a value a line.
func flatten(doc []byte) map[string]string {
	values := map[string]string{}
	var path []string
	for line := range bytes.Lines(doc) {
		text := strings.TrimLeft(string(line), " ")
		depth := (len(line) - len(text)) / 2
		key, value, _ := strings.Cut(strings.TrimSpace(text), ":")
		path = append(path[:depth], key)
		if value != "" {
			values[strings.Join(path, ".")] = strings.TrimSpace(value)
		}
	}
	return values
}
