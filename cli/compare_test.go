package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/disk"
)

func (b workbench) compare(out string, more ...string) []string {
	return append([]string{"compare", "--data", b.data, "--steps", "2", "--out", b.path(out)}, more...)
}

// A resumed comparison of fewer recipes keeps the rows of the others, in their places, and new ones come behind.
func TestResumedComparisonKeepsItsRows(t *testing.T) {
	b := newWorkbench(t)
	auto := []string{b.recipe, "--set", "method.cuts=auto"}
	succeed(t, b.compare("c", append(auto, "--methods", "bp,layerwise")...)...)
	rows := func() (names []string) {
		for line := range strings.Lines(string(read(t, b.path("c/compare.md")))) {
			if cells := strings.Split(line, "|"); len(cells) > 2 && !strings.Contains(line, "---") {
				names = append(names, strings.Trim(cells[1], " *"))
			}
		}
		return names[1:]
	}
	before := rows()
	succeed(t, b.compare("c", append(auto, "--resume", "--methods", "layerwise,sgr")...)...)
	if got := strings.Join(rows(), " "); len(before) != 2 || got != strings.Join(before, " ")+" sgr" {
		t.Errorf("rows %v became %q", before, got)
	}
	svg := string(read(t, b.path("c/compare.svg")))
	for _, name := range []string{"bp", "layerwise", "sgr"} {
		if !strings.Contains(svg, name) {
			t.Errorf("the picture lacks %s", name)
		}
	}
}

// A comparison replaces nothing that is not its own, and shares its folder with nobody.
func TestComparisonOwnsItsFolder(t *testing.T) {
	b := newWorkbench(t)
	write(t, b.path("mine/compare.svg"), []byte("my own drawing"))
	refuse(t, []string{"compare.svg", "not this run's"}, b.compare("mine", "--methods", "bp", b.recipe)...)
	refuse(t, []string{"compare.svg"}, b.compare("mine", "--force", "--methods", "bp", b.recipe)...)
	if string(read(t, b.path("mine/compare.svg"))) != "my own drawing" {
		t.Error("a file of the user's was replaced")
	}
	succeed(t, b.train("run", "--steps", "1")...)
	refuse(t, []string{"single run"}, b.compare("run", "--methods", "bp", b.recipe)...)
	for _, force := range []string{"--force=false", "--force"} { // a run of its own in the folder of others would hide them
		refuse(t, []string{"holds other runs, such as run: must be a folder of the run's own", "/mine"}, b.train("", "--steps", "1", force)...)
	}

	if err := os.Mkdir(b.path("busy"), 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := disk.Acquire(b.path("busy/.lock"), nil)
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, []string{"in use"}, b.compare("busy", "--methods", "bp", b.recipe)...)
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"compare.svg", "manifest.json", ".lock", "curves.svg"} {
		refuse(t, []string{"name", name}, b.compare("odd", b.recipe, "--set", "name="+name)...)
	}
	succeed(t, b.compare("two", "--methods", "bp", b.recipe)...)
	list := string(read(t, b.path("two/manifest.json")))
	refuse(t, []string{"holds a run already"}, b.compare("two", "--methods", "bp,sgr", b.recipe)...)
	if string(read(t, b.path("two/manifest.json"))) != list {
		t.Error("a comparison that was refused has changed the list of the one that is there")
	}
	succeed(t, b.compare("two", "--force", "--methods", "bp", b.recipe)...)
}

// Weights to start from are tried before the first run, reach every run, and are remembered for those that a resumed
// comparison still has to begin.
func TestComparisonStartsFromWeights(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "3")...)
	init := b.path("run/last.safetensors")
	write(t, b.path("broken.safetensors"), read(t, init)[:500])
	refuse(t, []string{"broken.safetensors"}, b.compare("c", "--methods", "bp,sgr", b.recipe, "--init", b.path("broken.safetensors"))...)
	refuse(t, []string{"conv1.weight"}, b.compare("c", "--methods", "bp,sgr", b.recipe, "--init", init, "--set", "model.width=8")...)
	if exists(b.path("c/bp")) {
		t.Error("a run began before the weights were tried")
	}
	succeed(t, b.compare("c", "--methods", "sgr", b.recipe, "--init", init)...)
	succeed(t, b.compare("c", "--resume", "--methods", "layerwise", b.recipe)...)
	refuse(t, []string{"--init"}, b.compare("c", "--resume", "--methods", "sgr", b.recipe, "--init", init)...)
	for _, run := range []string{"c/sgr", "c/layerwise"} {
		if text := string(read(t, b.path(run+"/manifest.json"))); !strings.Contains(text, init) {
			t.Errorf("%s began elsewhere:\n%s", run, text)
		}
	}
}

// Rows that stay in the table from before are told where the data have changed since.
func TestCompareKeepsRowsOfOtherData(t *testing.T) {
	b := newWorkbench(t)
	args := func(method string) []string {
		return []string{"compare", "--methods", method, b.recipe, "--data", b.data, "--steps", "2", "--out", b.path("both"), "--force"}
	}
	succeed(t, args("bp")...)
	for _, c := range []struct {
		method, file string // that is changed before
		told         bool
	}{{"layerwise", "", false}, {"sgr", "data_batch_3.bin", true}, {"dgl", "test_batch.bin", true}} {
		if c.file != "" {
			was := read(t, filepath.Join(b.data, c.file))
			write(t, filepath.Join(b.data, c.file), cifar(55, len(was)/3073))
		}
		r := locus(t.Context(), args(c.method)...)
		if r.code != 0 || strings.Contains(r.err, "both/bp stays in the table, and had other t") != c.told {
			t.Errorf("%s: exit code %d\n%s", c.method, r.code, r.err)
		}
	}
}
