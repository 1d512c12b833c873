package train

import (
	"os"
	"strings"
	"testing"

	"github.com/locus-learn/locus/recipe"
)

// Every key that may change exists, and the document has the same table.
func TestWhatMayChangeIsWrittenDown(t *testing.T) {
	keys, err := recipe.Keys(&Config{})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Resumable() {
		known := false
		for _, k := range keys {
			known = known || k.Path == c.Key || strings.HasPrefix(k.Path, c.Key+".")
		}
		if !known {
			t.Errorf("%s is no key of a recipe", c.Key)
		}
		if row := "| `" + c.Key + "` | " + c.Effect + " |"; !strings.Contains(string(doc), row) {
			t.Errorf("docs/reliability.md lacks the row %s", row)
		}
	}
	for key, want := range map[string]bool{
		"schedule.epochs": true, "schedule": true, "optim.lr": true, "optim.lrx": false, "optim.name": false, "optim.momentum": false,
		"seed": false, "data.limit": false, "data.set": false, "model.width": false, "method.modules": false, "precision": false,
	} {
		if mayChange(key) != want {
			t.Errorf("%s may change: %v, want %v", key, !want, want)
		}
	}
}
