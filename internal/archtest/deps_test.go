package archtest

import (
	"os/exec"
	"strings"
	"testing"
)

// Who imports the mathematics alone gets no plotting library, no fonts and no command line with it.
func TestMathematicsComesAlone(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../local", "../../optim").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		for _, heavy := range []string{"gonum.org/v1/plot", "codeberg.org/", "golang.org/x/image", "spf13", "progressbar", "go-pretty"} {
			if strings.Contains(pkg, heavy) {
				t.Errorf("local needs %s", pkg)
			}
		}
	}
}

// An example is copied into programs elsewhere: it must not need what only this module may import.
func TestExamplesAreForEverybody(t *testing.T) {
	out, err := exec.Command("grep", "-rl", "--include=example_test.go", "locus/internal/", "../..").Output()
	if len(out) > 0 {
		t.Errorf("examples that import internal packages:\n%s", out)
	}
	if e, ok := err.(*exec.ExitError); err != nil && (!ok || e.ExitCode() != 1) {
		t.Error(err)
	}
}
