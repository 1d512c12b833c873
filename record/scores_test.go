package record

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// measured are epochs whose heads are measured by something that has no field of its own.
func measured(n, modules int) []Epoch {
	out := epochs(n, modules)
	for i := range out {
		values := make([]float64, modules)
		for k := range values {
			values[k] = 100/float64(i+1) + float64(k)
		}
		values[0] = math.NaN() // the first head gives no answers
		out[i].Scores = Scores{"perplexity": values, "bits": values}
	}
	return out
}

func TestScoresInMetrics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	want := Log{Steps: steps(20, 3, 10), Epochs: measured(2, 3)}
	feed(t, openJSONL(t, path, -1), Start{}, want.Steps, want.Epochs)
	same(t, readLog(t, path), want)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if part := `"scores":{"bits":[null,101,102],"perplexity":[null,101,102]}`; !strings.Contains(string(text), part) {
		t.Errorf("no %s in\n%s", part, text)
	}
}

func TestScoresInSummary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "summary.json")
	want := Summary{Name: "a", Scores: Scores{"perplexity": {math.NaN(), 12.5}}}
	if err := WriteJSON(path, want); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got Summary
	if err := got.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	same(t, got.Scores, want.Scores)
}

func TestScoresInTensorBoard(t *testing.T) {
	dir := t.TempDir()
	tb, err := OpenTensorBoard(dir)
	if err != nil {
		t.Fatal(err)
	}
	feed(t, tb, Start{}, steps(10, 2, 10), measured(1, 2))
	files, _ := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	events := readEvents(t, files[0])
	got := events[len(events)-1].scalars
	if got["test/perplexity"] != 101 || got["perplexity/module_02"] != 101 || got["bits/module_02"] != 101 {
		t.Errorf("scalars %v lack perplexity or bits of 101", got)
	}
	if _, ok := got["perplexity/module_01"]; ok {
		t.Error("a value that is not there was written")
	}
}

func TestScoresInTables(t *testing.T) {
	table := append(slices.Clone(runs[:2]), Summary{Name: "d", Method: "dgl", Scores: Scores{"perplexity": {1, 3.14159}}})
	got := table.Markdown()
	for _, line := range []string{"| s/step | time | perplexity |", "| 1m15s | – |", "| 0s | 3.142 |"} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
}

func TestScoresWhilePeopleWatch(t *testing.T) {
	var out bytes.Buffer
	feed(t, NewProgress(&out, false), Start{Steps: 10}, steps(10, 2, 10), measured(1, 2))
	if want := "bits 101  perplexity 101"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out.String())
	}
}

func TestScoresInPictures(t *testing.T) {
	dir := t.TempDir()
	if err := PlotRun(dir, measured(3, 2), nil); err != nil {
		t.Fatal(err)
	}
	if got := labels(t, filepath.Join(dir, "plots", "score-perplexity.svg")); !strings.Contains(got, "module 2: 34.3 (last)") {
		t.Errorf("no last value among\n%s", got)
	}
}
