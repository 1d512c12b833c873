package recipe

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write makes files in a folder of their own, which becomes the working folder.
func write(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, doc := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLay(t *testing.T) {
	write(t, map[string]string{
		"low.yaml":      "name: low\nseed: 3\ndata: {mean: [0.5, 0.5], files: [a]}\noptim: {lr: 1}\n",
		"sub/mid.yaml":  "base: ../low.yaml\ndata: {mean: [0.25]}\noptim: {min_lr: 0.5}\n",
		"sub/top.yaml":  "optim: {lr: 2}\nbase: mid.yaml\n",
		"sub/only.yaml": "base: mid.yaml\n",
		"abs.yaml":      "base: " + filepath.Join(t.TempDir(), "none.yaml") + "\n",
	})
	source, err := Open("sub/top.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, want := &config{Threads: 9}, defaults(t)
	origins, err := source.Lay(got)
	if err != nil {
		t.Fatal(err)
	}
	want.Name, want.Seed, want.Data.Mean, want.Data.Files = "low", 3, []float32{0.25}, []string{"a"}
	want.Optim.LR, want.Optim.MinLR = 2, 0.5
	if diff := cmp.Diff(want, got, compareConfigs); diff != "" {
		t.Error(diff)
	}
	wantOrigins := Origins{"name": "base low.yaml", "seed": "base low.yaml", "data.files": "base low.yaml",
		"data.mean": "base sub/mid.yaml", "optim.min_lr": "base sub/mid.yaml", "optim.lr": "sub/top.yaml"}
	if diff := cmp.Diff(wantOrigins, origins); diff != "" {
		t.Error(diff)
	}
	if source, err = Open("sub/only.yaml"); err != nil {
		t.Fatal(err)
	}
	if _, err := source.Lay(defaults(t)); err != nil {
		t.Error(err)
	}
}

// What is printed with its origins reads as the same recipe, and in brief as what the recipe and its bases say.
func TestAnnotate(t *testing.T) {
	write(t, map[string]string{
		"low.yaml": "seed: 3\n",
		"top.yaml": "base: low.yaml\ndata: {files: [\"a # b\"]}\n",
	})
	source, err := Open("top.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := new(config)
	origins, err := source.Lay(c)
	if err == nil {
		err = origins.Set(c, " optim.lr = 0.5", "--set")
	}
	if err != nil {
		t.Fatal(err)
	}
	want := `seed: 3                                       # base low.yaml
data:
  files: ["a # b"]                            # top.yaml
optim:
  lr: 0.5                                     # --set
empty: {}
`
	for _, brief := range []bool{true, false} {
		doc, err := origins.Annotate(c, brief)
		if err != nil {
			t.Fatal(err)
		}
		if brief && string(doc) != want {
			t.Error(cmp.Diff(want, string(doc)))
		}
		again := defaults(t)
		if err := Decode("again", doc, again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, again, compareConfigs); diff != "" {
			t.Error(diff)
		}
	}
}

func TestBaseFaults(t *testing.T) {
	files := map[string]string{
		"a.yaml":         "base: sub/b.yaml",
		"sub/b.yaml":     "seed: 1\nbase: ../a.yaml",
		"self.yaml":      "base: ./self.yaml",
		"slip.yaml":      "base: fashon-sgr",
		"none.yaml":      "\nbase: nothing",
		"lost.yaml":      "base: sub/lost.yaml",
		"folder.yaml":    "base: ./sub",
		"list.yaml":      "base: [a, b]",
		"null.yaml":      "base:",
		"twice.yaml":     "base: fashion\nseed: 1\nbase: fashion",
		"broken.yaml":    "base: sub/bad.yaml",
		"sub/bad.yaml":   "seed: 1\n\tname: x",
		"wrong.yaml":     "base: sub/wrong.yaml",
		"sub/wrong.yaml": "\nseed: x",
		"deep.yaml":      "base: deep1.yaml",
		"inner.yaml":     "data: {base: fashion}",
	}
	for i := 1; i < 12; i++ {
		files[fmt.Sprintf("deep%d.yaml", i)] = fmt.Sprintf("base: deep%d.yaml", i+1)
	}
	write(t, files)
	tests := []struct{ file, want string }{
		{"a.yaml", "sub/b.yaml:2: base is ../a.yaml: must not lead back to itself: a.yaml → sub/b.yaml → a.yaml"},
		{"self.yaml", "self.yaml:1: base is ./self.yaml: must not lead back to itself: self.yaml → self.yaml"},
		{"slip.yaml", "slip.yaml:1: base is fashon-sgr: unknown recipe fashon-sgr: did you mean fashion-sgr?"},
		{"none.yaml", "none.yaml:2: base is nothing: unknown recipe nothing: must be a .yaml file or one that 'locus list recipes' shows"},
		{"lost.yaml", "lost.yaml:1: base is sub/lost.yaml: recipe sub/lost.yaml cannot be read: no such file or directory"},
		{"folder.yaml", "folder.yaml:1: base is ./sub: recipe sub cannot be read: it is a folder, not a file"},
		{"list.yaml", "list.yaml:1: base is a list of 2: must be the name of a recipe or the path of a .yaml file"},
		{"null.yaml", "null.yaml:1: base is null: must be the name of a recipe or the path of a .yaml file"},
		{"twice.yaml", "twice.yaml:3: key base stands in line 1 already: must stand once"},
		{"broken.yaml", "sub/bad.yaml:2: not valid YAML: found a tab character that violates indentation"},
		{"wrong.yaml", "sub/wrong.yaml:2: seed is x: must be a whole number at least 0"},
		{"deep.yaml", "deep8.yaml:1: base is deep9.yaml: must not lie more than 8 bases deep"},
		{"inner.yaml", "inner.yaml:1: unknown key data.base: the keys of data are data.set, data.shuffle, data.validation, data.mean, data.files"},
	}
	for _, test := range tests {
		source, err := Open(test.file)
		if err == nil {
			_, err = source.Lay(defaults(t))
		}
		checkFault(t, test.file, err, test.want)
	}
}
