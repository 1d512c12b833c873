package prose

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestDocuments(t *testing.T) {
	found, err := check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	for _, line := range found {
		t.Error(line)
	}
}

// Each rule is broken once, so that the check is known to be able to fail.
func TestCheck(t *testing.T) {
	long := strings.Repeat("w ", maxWords)
	wide := strings.Repeat("w", maxColumns+1)
	for _, tt := range []struct {
		name, text string
		want       string // empty where it is allowed
	}{
		{"short", "# Head\n\nA line. And another one.\n", ""},
		{"just short enough", long + "\n", ""},
		{"long sentence", "A " + long + "\n", "a.md:1: a sentence of 30 words"},
		{"over two lines", "\nA\n" + long + "\n", "a.md:2: a sentence of 30 words"},
		{"two sentences", long + "(end.) " + long + "\n", "a sentence of 30 words"},
		{"two short sentences", "End. " + long + "\n", ""},
		{"two items", "- A few words:\n- " + long + "\n", ""},
		{"an item's second line", "- A\n  " + long + "\n", "a.md:1: a sentence of 30 words"},
		{"code is a word", "`" + long + "`\n", ""},
		{"wide", wide + "\n", "a.md:1: 120 columns"},
		{"wide code", "    " + wide + "\n\n```\n" + wide + "\n```\n", ""},
		{"wide table", "| " + wide + " |\n", ""},
		{"wide comment", "<!-- a\n" + wide + "\n-->\n", ""},
		{"behind a comment", "<!-- a\n-->\n" + wide + "\n", "a.md:3: 120 columns"},
		{"good links", "# Some `code`: x\n\n[here](#some-code-x) [file](b/c.txt) [web](https://x.y/z)\n", ""},
		{"no such file", "[file](b/d.txt)\n", "b/d.txt: no such file"},
		{"no such heading", "[here](#there)\n", "#there: no such heading"},
		{"heading of another", "[there](b/e.md#e)\n", ""},
		{"no heading of another", "[there](b/e.md#f)\n", "b/e.md#f: no such heading"},
		{"links in tables", "| [file](d.txt) |\n", "a.md:1: d.txt: no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := check(fstest.MapFS{
				"a.md": {Data: []byte(tt.text)}, "b/c.txt": {}, "b/e.md": {Data: []byte("# E\n")}, "runs/x.md": {Data: []byte(wide)},
			})
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(found, "\n")
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}
