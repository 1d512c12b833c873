package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the documents show is what the files of figures say.
func TestDocumentsAreCurrent(t *testing.T) {
	stale, err := refresh("../..", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stale {
		t.Errorf("%s is out of date: run make evidence", name)
	}
}

// Every file of figures is shown in the folder's README, so that none is forgotten.
func TestEveryFileIsShown(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../*.csv")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, path := range files {
		if _, err := readRows(path); err != nil {
			t.Error(err)
		}
		if !strings.Contains(string(readme), "<!-- table: "+filepath.Base(path)+"\n") {
			t.Errorf("results/README.md has no table of %s", filepath.Base(path))
		}
	}
}

const figures = `net,method,loss,low,high,command,commit,machine,n,seed
a,bp,2e-3,,,run a,c1,m,1,1
a,sgr,-1.5,1,2,run b,c1,m,1,1
b,sgr,7,,,run c,c2,m,1,2
`

// project makes a folder with one file of figures and one document, and returns its path.
func project(t *testing.T, csv, document string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "results"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"results/f.csv": csv, "doc.md": document} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestTables(t *testing.T) {
	for _, tt := range []struct{ name, spec, want string }{
		{"plain", `columns: [{method: "{method}"}, {loss: "{loss}[ ({low}–{high})]"}]`,
			"| method | loss       |\n| ------ | ---------- |\n| bp     | 2·10⁻³     |\n| sgr    | −1.5 (1–2) |\n| sgr    | 7          |\n"},
		{"chosen", `where: {net: b}
columns: [{loss: "{loss}"}]`, "| loss |\n| ---: |\n|    7 |\n"},
		{"one of several", `where: {method: [bp, dgl]}
columns: [{net: "{net}"}]`, "| net |\n| --- |\n| a   |\n"},
		{"across", "columns: [{net: \"{net}\"}]\nacross: method\neach: [{\"{method}!\": \"{loss}\"}]",
			"| net | bp!    | sgr! |\n| --- | ------ | ---: |\n| a   | 2·10⁻³ | −1.5 |\n| b   |        |    7 |\n"},
		{"across numbers, nothing under 1", "columns: [{net: \"{net}\"}]\nacross: seed\neach: [{\"seed {seed}\": \"{net}\"}, {low: \"{low}\"}]",
			"| net | seed 1 | low | seed 2 |\n| --- | ------ | --: | ------ |\n| a   | a      |   1 |        |\n| b   |        |     | b      |\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			comment := "<!-- table: f.csv\n" + tt.spec + "\n-->\n"
			root := project(t, figures, "before\n"+comment+"\nafter\n"+comment+"\nold\n<!-- end of table -->\nend\n")
			for range 2 { // the second time nothing may change
				if _, err := refresh(root, true); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(filepath.Join(root, "doc.md"))
			if err != nil {
				t.Fatal(err)
			}
			made := comment + "\n" + tt.want + "\n<!-- end of table -->\n"
			if want := "before\n" + made + "\nafter\n" + made + "end\n"; string(got) != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if stale, err := refresh(root, false); err != nil || len(stale) > 0 {
				t.Errorf("made again: %v, %v", stale, err)
			}
		})
	}
}

func TestPictures(t *testing.T) {
	root := project(t, figures, `<!-- picture: p.svg
from: f.csv
x: seed
curves: method
marks: net
charts: [{title: Loss, x: seed, y: loss, of: loss, levels: [{name: limit, y: 3}]}]
-->
`)
	stale, err := refresh(root, true)
	if err != nil || len(stale) != 1 || stale[0] != "p.svg" {
		t.Fatalf("wrote %v, %v", stale, err)
	}
	svg, err := os.ReadFile(filepath.Join(root, "p.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"Loss", "bp", "sgr", "limit"} {
		if !strings.Contains(string(svg), ">"+text+"<") {
			t.Errorf("no %q in the picture", text)
		}
	}
}

func TestCode(t *testing.T) {
	root := project(t, figures, "a\n<!-- code: results/f.csv -->\nb\n")
	for range 2 {
		if _, err := refresh(root, true); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(root, "doc.md"))
	if want := "a\n<!-- code: results/f.csv -->\n\n```csv\n" + figures + "```\n\n<!-- end of code -->\nb\n"; err != nil || string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ name, csv, spec, want string }{
		{"no file", figures, "table: g.csv\ncolumns: []", "g.csv"},
		{"no code", figures, "code: g.go", "g.go"},
		{"unknown key", figures, "table: f.csv\ncolums: []", "colums"},
		{"unknown column", figures, "table: f.csv\ncolumns: [{a: \"{los}\"}]", `no column "los"`},
		{"unknown column, optional", figures, "table: f.csv\ncolumns: [{a: \"[{los}]\"}]", `no column "los"`},
		{"unknown choice", figures, "table: f.csv\nwhere: {nets: a}\ncolumns: []", `no column "nets"`},
		{"no row", figures, "table: f.csv\nwhere: {net: c}\ncolumns: []", "no row"},
		{"unknown across", figures, "table: f.csv\nacross: nets\ncolumns: []", `no column "nets"`},
		{"not a number", figures, "picture: p.svg\nfrom: f.csv\nx: net\ncurves: method\ncharts: [{of: loss}]", "x: "},
		{"short line", figures + "a,b\n", "table: f.csv\ncolumns: []", "wrong number of fields"},
		{"no provenance", "a,command,commit,machine,n\n1,,,,\n", "table: f.csv\ncolumns: []", `no column "seed"`},
		{"no end", figures, "table: f.csv --> more", "no line ends"},
		{"space", figures + "c,bp ,1,,,,,,,\n", "table: f.csv\ncolumns: []", "line 5"},
		{"no figures", "a,command,commit,machine,n,seed\n", "table: f.csv\ncolumns: []", "no figures"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			end := "\n-->\n"
			if tt.name == "no end" {
				end = ""
			}
			root := project(t, tt.csv, "<!-- "+tt.spec+end)
			if _, err := refresh(root, false); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
