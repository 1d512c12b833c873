package archtest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestImportsPointDown(t *testing.T) {
	packages, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := packages["internal/archtest"]; !ok {
		t.Fatal("the walk over the module has not found this package")
	}
	for _, line := range check(packages) {
		t.Error(line)
	}
}

// The edges must be a direction: a cycle in the list would allow what Go itself refuses.
func TestEdgesHaveNoCycle(t *testing.T) {
	for pkg, below := range edges {
		for _, target := range below {
			if _, ok := edges[target]; !ok {
				t.Errorf("%s may import %s, which is not in the list", pkg, target)
			}
			if slices.Contains(reach(target, func(p string) []string { return edges[p] }), pkg) {
				t.Errorf("%s may import %s, which may reach %s", pkg, target, pkg)
			}
		}
	}
}

// Each rule is broken once, so that the check is known to be able to fail.
func TestCheck(t *testing.T) {
	locus := func(pkg, dir string) string {
		return "package " + pkg + "\nimport _ \"" + module + "/" + dir + "\"\n"
	}
	tests := []struct {
		name  string
		files map[string]string
		want  string // empty where the import is allowed
	}{
		{"downward", map[string]string{"local/a.go": locus("local", "nn")}, ""},
		{"to internal", map[string]string{"zoo/a.go": locus("zoo", "internal/fault")}, ""},
		{"to another module", map[string]string{"nn/a.go": "package nn\nimport _ \"fmt\"\n"}, ""},
		{"upward", map[string]string{"nn/a.go": locus("nn", "local")}, "nn imports local: it may import [torch] and internal/*"},
		{"upward in a test", map[string]string{"nn/a_test.go": locus("nn", "zoo")}, "nn imports zoo"},
		{"past the edges", map[string]string{"zoo/a.go": locus("zoo", "optim")}, "zoo imports optim"},
		{"the module's root", map[string]string{"nn/a.go": "package nn\nimport _ \"" + module + "\"\n"}, "nn imports .:"},
		{"internal upward", map[string]string{"internal/x/a.go": locus("x", "nn")}, "internal/x imports nn"},
		{"internal to internal", map[string]string{"internal/x/a.go": locus("x", "internal/seed")}, ""},
		{"unlisted", map[string]string{"extra/a.go": "package extra\n"}, "extra is not in the list of packages: add it"},
		{"below a listed one", map[string]string{"data/deep/a.go": "package deep\n"}, "data/deep is not in the list"},
		{"external test far below", map[string]string{"train/a_test.go": locus("train_test", "torch")}, ""},
		{"external test, two edges down", map[string]string{"local/a_test.go": locus("local_test", "nn")}, ""},
		{"external test of itself", map[string]string{"nn/a_test.go": locus("nn_test", "nn")}, ""},
		{"external test upward", map[string]string{"nn/a_test.go": locus("nn_test", "local")}, "nn's external tests import local"},
		{"cgo in the engine", map[string]string{"torch/a.go": "package torch\nimport \"C\"\n"}, ""},
		{"cgo elsewhere", map[string]string{"nn/a.go": "package nn\nimport \"C\"\n"}, `nn imports "C": only torch and torch/dist may`},
		{"the test device in a test", map[string]string{"nn/a_test.go": locus("nn_test", "internal/testdevice")}, ""},
		{"the test device in a test inside", map[string]string{"nn/a_test.go": locus("nn", "internal/testdevice")}, ""},
		{"the test device in the product", map[string]string{"nn/a.go": locus("nn", "internal/testdevice")}, "only tests may"},
		{"the test device in the fast lane", map[string]string{"data/a_test.go": locus("data_test", "internal/testdevice")},
			"data reaches internal/testdevice"},
		{"torch by way of internal", map[string]string{
			"recipe/a.go": locus("recipe", "internal/x"), "internal/x/a.go": locus("x", "torch"),
		}, "recipe reaches torch"},
		{"torch in a test of the fast lane", map[string]string{"data/a_test.go": locus("data_test", "torch")}, "data reaches torch"},
		{"not looked at", map[string]string{
			"nn/testdata/a.go": locus("nn", "local"), ".x/a.go": locus("x", "nn"), "m/go.mod": "module m\n", "m/a.go": "package m\n",
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for name, text := range tt.files {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}
			packages, err := load(fsys)
			if err != nil {
				t.Fatal(err)
			}
			found := strings.Join(check(packages), "\n")
			if (found == "") != (tt.want == "") || !strings.Contains(found, tt.want) {
				t.Errorf("found %q, want %q", found, tt.want)
			}
		})
	}
}
