package cli

import (
	"regexp"
	"strings"
	"testing"
)

// What show prints says where values come from and, read again, is the same recipe.
func TestShow(t *testing.T) {
	b := newWorkbench(t)
	write(t, b.path("mine.yaml"), []byte("base: quickstart\nmethod: {name: bp}\n"))
	out := succeed(t, "show", "--brief", b.path("mine.yaml"), "--set", "optim.lr=0.05")
	for _, want := range []string{
		"name: mine # the recipe's own", "epochs: 1 # base fashion", "lambda: 0.001 # base quickstart",
		"name: bp # " + b.path("mine.yaml"), "modules: 1 # method bp", "lr: 0.05 # --set",
	} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "momentum") {
		t.Errorf("a default in brief:\n%s", out)
	}
	full := succeed(t, "show", b.path("mine.yaml"), "--set", "optim.lr=0.05")
	write(t, b.path("again.yaml"), []byte(full))
	if again := succeed(t, "show", b.path("again.yaml")); values(again) != values(full) {
		t.Errorf("read again:\n%s", again)
	}
}

// values is a printed recipe without the origins.
func values(printed string) string {
	return regexp.MustCompile(" *# .*").ReplaceAllString(printed, "")
}
