package report

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// logitOf is the logit of a probability.
func logitOf(p float64) float32 { return float32(math.Log(p / (1 - p))) }

// ranked is four samples that may have two classes. The first head ranks "a" well and "<b>" badly, the second one both well.
func ranked() Ranking {
	var first, second []float32
	for _, p := range []float64{0.95, 0.05, 0.9, 0.6, 0.2, 0.7, 0.02, 0.96} {
		first = append(first, logitOf(p))
	}
	for _, p := range []float64{0.9, 0.1, 0.8, 0.7, 0.3, 0.2, 0.1, 0.1} {
		second = append(second, logitOf(p))
	}
	return Ranking{
		Checkpoint: "run", Set: "things", Part: "test", Classes: []string{"a", "<b>"},
		Has: []byte{1, 0, 1, 1, 0, 0, 0, 0},
		Heads: []RankedHead{
			{Module: 1, Blocks: "stem", Body: 100, Asked: 10, Loss: 0.7, Logits: first},
			{Module: 2, Blocks: "rest", Body: 200, Asked: 20, Loss: 0.4, Logits: second},
		},
		Mistakes: []RankedMistake{{Sample: 3, Class: 1, Title: "x/<y>.png", H: 1, W: 2, C: 1, Pixels: []byte{0, 255}}},
	}
}

// What samples pay and how they are ranked, by hand. The first head is 0.95, 0.6, 0.7 and 0.96 sure of the samples: each time of
// the class that it is least sure about. "<b>" is third of its answers, and first where all samples go on.
func TestLeavingEarlyWithSeveralLabels(t *testing.T) {
	for _, c := range []struct {
		threshold, precision, macs float64
		left                       float64
	}{
		{0.5, 100 * (1 + 1.0/3) / 2, 110, 100},
		{0.65, 100 * (1 + 1.0/3) / 2, 165, 75}, // the second sample has 0.7 for it now, as the third, and the fourth has more
		{0.9, 100 * (1 + 1.0/2) / 2, 220, 50},
		{1, 100, 330, 0},
	} {
		x := ranked().exits([]float64{c.threshold})[0]
		if math.Abs(x.accuracy-c.precision) > 1e-4 || math.Abs(x.macs-c.macs) > 1e-9 || math.Abs(x.shares[0]-c.left) > 1e-9 {
			t.Errorf("at %g: %+v, want %+v", c.threshold, x, c)
		}
	}
}

func TestRankingIsWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	if err := ranked().Write(dir, Column); err != nil {
		t.Fatal(err)
	}
	rows := func(name string) [][]string {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		all, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	heads := rows("heads.csv")
	if heads[2][2] != "100" || heads[2][3] != "100" || heads[2][9] != "320" || heads[1][9] != "110" {
		t.Errorf("heads %v", heads)
	}
	classes := rows("classes.csv")
	if got := strings.Join(classes[2][:3], " "); got != "<b> 1 4" || classes[2][5] != "100" || classes[2][7] == "" {
		t.Errorf("classes %v", classes)
	}
	if len(rows("exits.csv")) != 111 || len(rows("calibration.csv")) != 31 || rows("mistakes.csv")[1][3] != "0" {
		t.Error("the other tables are not whole")
	}
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"mAP", "&lt;b&gt;", "x/&lt;y&gt;.png", "it is not there", "<svg", "data:image/png"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, name := range []string{"exits.svg", "depth.pdf", "calibration.png", "mistake-01.png"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "confusion.svg")); err == nil {
		t.Error("there is a confusion of classes that go together")
	}
}

// Answers that are given as often as they say have no error; those that are always sure and half of the time wrong have half.
func TestCalibrationOfSeveralLabels(t *testing.T) {
	e := Ranking{Classes: []string{"a"}, Has: []byte{1, 0}, Heads: []RankedHead{{Logits: []float32{0, 0}}, {Logits: []float32{40, 40}}}}
	for i, want := range []float64{0, 0.5} {
		if _, ece := e.calibration(e.Heads[i]); math.Abs(ece-want) > 1e-9 {
			t.Errorf("head %d: %g, want %g", i, ece, want)
		}
	}
}
