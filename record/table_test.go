package record

import (
	"math"
	"slices"
	"strings"
	"testing"
)

var runs = Table{
	{Name: "a", Method: "bp", TestAcc: 91.234, ModuleAcc: []float64{91.234}, PeakBytes: 300 << 20, RestingBytes: 100 << 20, Seconds: 75.4, SecondsPerStep: 0.12345},
	{Name: "b", Method: "sgr", TestAcc: 90, ModuleAcc: []float64{80.05, 90}, PeakBytes: 150 << 20, RestingBytes: 100 << 20, Seconds: 3.14, SecondsPerStep: 0.2, Subset: true},
	{Name: "c", Method: "drtp", TestAcc: math.NaN(), ModuleAcc: []float64{math.NaN()}},
}

func TestTablePlain(t *testing.T) {
	want := `
+--------+-----------+--------------+-----------+--------------+--------+-------+
| method | heads, %  | last head, % | peak, MiB | resting, MiB | s/step |  time |
+--------+-----------+--------------+-----------+--------------+--------+-------+
| bp     | 91.2      |        91.23 |     300.0 |        100.0 |  0.123 | 1m15s |
| sgr *  | 80.0 90.0 |        90.00 |     150.0 |        100.0 |    0.2 |  3.1s |
| drtp   | –         |            – |       0.0 |          0.0 |      0 |    0s |
+--------+-----------+--------------+-----------+--------------+--------+-------+
* on a subset of the data: not comparable with published numbers`
	if got := "\n" + runs.Plain(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestTableMarkdown(t *testing.T) {
	want := `| method | heads, % | last head, % | peak, MiB | resting, MiB | s/step | time |
| --- | --- | ---:| ---:| ---:| ---:| ---:|
| bp | 91.2 | 91.23 | 300.0 | 100.0 | 0.123 | 1m15s |`
	if got := runs[:1].Markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Runs without labels stand with their probes or, where they have none, with their neighbours.
func TestTableOfRunsWithoutLabels(t *testing.T) {
	table := Table{
		{Method: "barlow-sgr", KNN: true, TestAcc: 60, ModuleAcc: []float64{50, 60}, ProbeAcc: []float64{55, 70.5}, ProbeTop5: []float64{90, 95}},
		{Method: "barlow", KNN: true, TestAcc: 65, ModuleAcc: []float64{65}},
	}
	got := table.Markdown()
	for _, want := range []string{"| barlow-sgr | 55.0 70.5 (probe) | 70.50 |", "| barlow | 65.0 (k-NN) | 65.00 |"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if best := table.best(); best != 0 {
		t.Errorf("the best is row %d", best)
	}
}

func TestTableTerminal(t *testing.T) {
	got := runs.Terminal(0)
	if !strings.Contains(got, "╭") || !strings.Contains(got, "\x1b[1m bp") || strings.Contains(got, "\x1b[1m sgr") {
		t.Errorf("want rounded corners and only the best row bold:\n%s", got)
	}
	if got := runs[:1].Terminal(0); strings.Contains(got, "\x1b") {
		t.Errorf("a lone run is set in bold:\n%s", got)
	}
}

func TestTableManyHeadsWrap(t *testing.T) {
	wide := Table{{Method: "sgr", ModuleAcc: slices.Repeat([]float64{88.8}, 32)}}
	for line := range strings.Lines(wide.Plain()) {
		if len(line) > 120 {
			t.Errorf("line of %d characters: %s", len(line), line)
		}
	}
}

func TestTableLabelsByNameWhereMethodsRepeat(t *testing.T) {
	twice := Table{{Name: "sgr-4", Method: "sgr"}, {Name: "sgr-16", Method: "sgr"}, {Name: "x", Method: "bp"}}
	got := twice.Plain()
	for _, want := range []string{"| sgr-4 ", "| sgr-16 ", "| bp "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
