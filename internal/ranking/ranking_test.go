package ranking

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// Average precision, F1 and the best threshold are scikit-learn's, by testdata/ranking.py: with ties, and classes that nobody has.
func TestAgainstScikitLearn(t *testing.T) {
	text, err := os.ReadFile("testdata/ranking.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Classes int
		Logits  []float32
		Has     []int
		Each    []struct {
			Positives    int
			AP, F1, Best *float64
			BestF1       *float64 `json:"best_f1"`
		}
		MAP     float64
		F1      float64
		F1Micro float64 `json:"f1_micro"`
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) != 4 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for i, c := range cases {
		a := Answers{Logits: c.Logits, Classes: c.Classes}
		for _, v := range c.Has {
			a.Has = append(a.Has, byte(v))
		}
		all := a.All()
		for k, want := range c.Each {
			got := all[k]
			if got.Positives != want.Positives || got.Samples != len(c.Logits)/c.Classes {
				t.Errorf("case %d, class %d: %d positives of %d, want %d", i, k, got.Positives, got.Samples, want.Positives)
			}
			same(t, i, k, "average precision", got.AP, want.AP)
			same(t, i, k, "F1", got.F1(), want.F1)
			same(t, i, k, "best F1", got.BestF1, want.BestF1)
			same(t, i, k, "best threshold", got.Best, want.Best)
		}
		means := Mean(all)
		same(t, i, -1, "mean average precision", means.AP, &c.MAP)
		same(t, i, -1, "mean F1", means.F1, &c.F1)
		same(t, i, -1, "micro F1", means.F1Micro, &c.F1Micro)
	}
}

// same compares with a value that may not be defined.
func same(t *testing.T, i, class int, what string, got float64, want *float64) {
	t.Helper()
	if want == nil {
		if !math.IsNaN(got) {
			t.Errorf("case %d, class %d: %s is %g, where it is not defined", i, class, what, got)
		}
		return
	}
	if !(math.Abs(got-*want) < 1e-9) {
		t.Errorf("case %d, class %d: %s is %.12g, want %.12g", i, class, what, got, *want)
	}
}

// Answers that are no numbers rank below all others, and nothing is defined of no answers.
func TestNoNumbers(t *testing.T) {
	nan := float32(math.NaN())
	c := Answers{Logits: []float32{nan, 2, nan, 1}, Has: []byte{0, 1, 0, 1}, Classes: 1}.Of(0)
	if c.AP != 1 || c.F1() != 1 || c.Best != 1 {
		t.Errorf("got %+v", c)
	}
	if m := Mean(Answers{Classes: 2}.All()); !math.IsNaN(m.AP) || !math.IsNaN(m.F1) || !math.IsNaN(m.F1Micro) {
		t.Errorf("of no answers: %+v", m)
	}
}
