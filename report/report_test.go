package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/record"
)

// made writes a run folder with two modules and three epochs; the last head's accuracy is acc.
func made(t *testing.T, dir, method string, lambda float64, seed uint64, acc float64) string {
	t.Helper()
	write(t, filepath.Join(dir, recipeFile), fmt.Sprintf("name: x\nseed: %d\nmodel: {name: resnet32}\nmethod: {name: %s, lambda: %g, cuts: [a, b]}\noptim: {lr: 0.1}\n",
		seed, method, lambda))
	j, err := record.OpenJSONL(filepath.Join(dir, metricsFile), -1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		below := float64(10 * (2 - i))
		step := record.Step{Step: 100 * (i + 1), Loss: 1 / float64(i+1), ModuleLoss: []float64{1, 1}}
		if method == "sgr" {
			step.SGRCos = []float64{0.1 * float64(i), 0.2 * float64(i)}
		}
		if err := j.Step(step); err != nil {
			t.Fatal(err)
		}
		if err := j.Epoch(record.Epoch{Epoch: i + 1, Step: 100 * (i + 1), TestAcc: acc - below, ModuleAcc: []float64{acc - below - 5, acc - below}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := record.WriteJSON(filepath.Join(dir, summaryFile), record.Summary{Method: method, Model: "resnet32", Dataset: "fashion-mnist", Seed: seed,
		TestAcc: acc, ModuleAcc: []float64{acc - 5, acc}, PeakBytes: 100 << 20, RestingBytes: 10 << 20, SecondsPerStep: 0.5, Steps: 300}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// six makes three seeds of two methods.
func six(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for seed := uint64(1); seed <= 3; seed++ {
		made(t, filepath.Join(root, fmt.Sprint("bp-", seed)), "bp", 0.001, seed, 90+float64(seed))
		made(t, filepath.Join(root, "deep", fmt.Sprint("sgr-", seed)), "sgr", 0.001, seed, 85+0.5*float64(seed))
	}
	return root
}

func grouped(t *testing.T, by []string, dirs ...string) (Grouping, []string) {
	t.Helper()
	var notes []string
	notice := func(s string) { notes = append(notes, s) }
	runs, err := Find(dirs, notice)
	if err != nil {
		t.Fatal(err)
	}
	g, err := GroupBy(runs, by, notice)
	if err != nil {
		t.Fatal(err)
	}
	return g, notes
}

func contains(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s: no %q in\n%.3000s", what, want, text)
		}
	}
}

func TestTables(t *testing.T) {
	root := six(t)
	g, notes := grouped(t, []string{"method", "seed"}, root, filepath.Join(root, "bp-1")) // one named twice counts once
	if len(notes) > 0 {
		t.Errorf("notes %q", notes)
	}
	contains(t, "markdown", g.Markdown(), "| method | n |", "| bp | 3 | 87.0 92.0 | 92.00 ± 1.00 | 100.0 | 10.0 | 0.500 ± 0.000 |", "| sgr | 3 | 81.0 86.0 | 86.00 ± 0.50 |")
	contains(t, "TeX", g.TeX(), `\begin{tabular}{lrrrr}`, `bp & 3 & $92.00 \pm 1.00$ & $100.0$ &`, `method & $n$ & accuracy (\%)`)
	text, err := g.CSV()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d lines, %v", len(rows), err)
	}
	row := map[string]string{}
	for i, name := range rows[0] {
		row[name] = rows[1][i]
	}
	for name, want := range map[string]string{"n": "3", "seeds": "1 2 3", "accuracy_mean": "92", "accuracy_sd": "1", "peak_bytes": "104857600", "module_acc_mean": "87 92"} {
		if row[name] != want {
			t.Errorf("%s is %q, want %q", name, row[name], want)
		}
	}
	contains(t, "interval", row["accuracy_low95"], "89.51586") // 92 − 4.30265/√3
}

// Tables and pictures say what runs are measured by, which is no accuracy where images have several labels.
func TestMeasures(t *testing.T) {
	root := six(t)
	g, _ := grouped(t, []string{"method"}, root)
	for _, c := range []struct{ first, second, title, name string }{
		{"", "", "Accuracy", "accuracy"}, {"mAP", "mAP", "mAP", "mAP"}, {"", "mAP", "accuracy or mAP", "accuracy or mAP"},
	} {
		for i, measure := range []string{c.first, c.second} {
			for j := range g.Groups[i].Runs {
				g.Groups[i].Runs[j].Summary.Measure = measure
			}
		}
		contains(t, "notes", strings.Join(g.notes(), "\n"), c.title+" is that of the test set")
		contains(t, "TeX", g.TeX(), "& "+c.name+` (\%) &`)
		for _, f := range g.figures() {
			if f.name == "memory" && (f.y != "test "+c.name+" (%)" || f.about != c.title+" against memory: up and left is better.") {
				t.Errorf("the axis is %q of %q", f.y, f.about)
			}
		}
	}
}

// Without keys, rows are by what differs; what follows from the method is no column.
func TestRowsByWhatDiffers(t *testing.T) {
	root := six(t)
	made(t, filepath.Join(root, "strong"), "sgr", 1, 1, 80)
	g, _ := grouped(t, nil, root)
	if got := strings.Join(g.By, " "); got != "method.name method.lambda" || len(g.Groups) != 3 {
		t.Errorf("%d rows by %s", len(g.Groups), got)
	}
	contains(t, "TeX", g.TeX(), `method & $\lambda$ & $n$`)
	_, notes := grouped(t, []string{"method"}, root)
	contains(t, "notes", strings.Join(notes, "\n"), `row "sgr" mixes runs that differ in method.lambda: add it to --by`)
}

// Runs that read a set alike and were tested on other samples are told, once; earlier programs said nothing of samples.
func TestOtherTests(t *testing.T) {
	one, other := record.Data{Classes: "2:a", Train: "9:b", Test: "3:c"}, record.Data{Classes: "2:a", Train: "9:b", Test: "3:d"}
	split := one
	split.Train = "8:x" // by the seed
	runs := func(dir string, all ...record.Data) (runs []Run) {
		for i, d := range all {
			runs = append(runs, Run{Dir: fmt.Sprint("run-", i), Keys: map[string]string{"method.name": "bp", "seed": fmt.Sprint(i), "data.set": "folder", "data.dir": dir},
				Summary: record.Summary{Data: d}})
		}
		return runs
	}
	small := runs("a", other)
	small[0].Keys["data.size"] = "64"
	for _, c := range []struct {
		name string
		runs []Run
		want string
	}{
		{"the same", runs("a", one, split, one), ""},
		{"changed files", runs("a", one, split, other, other), "run-0 and run-2 were tested on other samples"},
		{"another folder", append(runs("a", one), runs("b", one, other)...), "run-0 and run-1 were tested"},
		{"read in another way", append(runs("a", one), small...), ""},
		{"earlier programs", runs("a", record.Data{}, other, record.Data{}), ""},
	} {
		got := otherTests(c.runs)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.want)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestWhatCannotBeReported(t *testing.T) {
	root := six(t)
	running := filepath.Join(root, "running")
	write(t, filepath.Join(running, recipeFile), "seed: 1\nmethod: {name: bp}\n")
	empty := t.TempDir()
	broken := t.TempDir()
	write(t, filepath.Join(broken, recipeFile), "seed: [1\n")
	twice := t.TempDir()
	made(t, filepath.Join(twice, "a"), "bp", 1, 1, 90)
	made(t, filepath.Join(twice, "b"), "bp", 1, 1, 91)
	for _, c := range []struct {
		name string
		dirs []string
		by   []string
		want string
	}{
		{"empty", []string{empty}, nil, "holds no runs: must be the folder of a run"},
		{"missing", []string{filepath.Join(empty, "none")}, nil, "holds no runs"},
		{"only running", []string{running}, nil, "holds no run that has ended"},
		{"broken", []string{broken}, nil, "config.yaml cannot be read"},
		{"unknown key", []string{root}, []string{"metod"}, `--by is "metod": must be keys`},
		{"part of a key", []string{root}, []string{"lam"}, "did you mean method.lambda?"},
		{"a seed twice", []string{twice}, []string{"method", "seed"}, `row "bp" has seed 1 twice`},
	} {
		runs, err := Find(c.dirs, func(string) {})
		if err == nil {
			_, err = GroupBy(runs, c.by, func(string) {})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	_, notes := grouped(t, nil, root)
	contains(t, "notes", strings.Join(notes, "\n"), "running is left out: it has not ended")
}

func TestWrite(t *testing.T) {
	root := six(t)
	g, _ := grouped(t, []string{"method"}, root)
	out := filepath.Join(t.TempDir(), "paper")
	if err := g.Write(out, Column); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, name := range []string{"memory", "depth", "accuracy", "loss", "agreement"} {
		contains(t, name+".svg", read(name+".svg"), "@font-face", `width="234pt"`)
		contains(t, name+".pdf", read(name+".pdf"), "/FontFile2", "/MediaBox [0 0 234.00 165.60]")
		if c, err := png.DecodeConfig(strings.NewReader(read(name + ".png"))); err != nil || c.Width != 975 {
			t.Errorf("%s.png is %d pixels wide, %v; want 975, 300 an inch", name, c.Width, err)
		}
	}
	contains(t, "agreement.svg", read("agreement.svg"), "δ", "font-style:italic")
	html := read(PageFile)
	contains(t, "page", html, "resnet32 on fashion-mnist: 6 runs", "92.00 ± 1.00", "<svg", "deep/sgr-2")
	if strings.Contains(html, "src=") || strings.Contains(html, "href=\"http") {
		t.Error("the page needs other files")
	}

	// A second report of less takes away what it has not; one beside a file of somebody else's touches nothing.
	bp, _ := grouped(t, []string{"method"}, filepath.Join(root, "bp-1"))
	if err := bp.Write(out, Page); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(out, "agreement.svg")); err == nil {
		t.Error("agreement.svg of the earlier report is still there")
	}
	contains(t, "page width", read("depth.svg"), `width="486pt"`)
	foreign := t.TempDir()
	write(t, filepath.Join(foreign, "table.tex"), "mine")
	if err := g.Write(foreign, Column); err == nil || !strings.Contains(err.Error(), "is not this run's") {
		t.Errorf("over a file of somebody else's: %v", err)
	}
	if files, _ := os.ReadDir(foreign); len(files) > 2 { // and the lock
		t.Errorf("files were written beside it: %v", files)
	}
}
