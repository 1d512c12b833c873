package study

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/record"
)

func TestParseSweep(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // the key, then the values; none: refused
	}{
		{"optim.lr=0.1", []string{"optim.lr", "0.1"}},
		{"method.lambda=1e-3,1e-2, 1", []string{"method.lambda", "1e-3", "1e-2", "1"}},
		{"method.cuts=[a,b],[c,d]", []string{"method.cuts", "[a,b]", "[c,d]"}},
		{"method.cuts='a,b'", []string{"method.cuts", "a,b"}},
		{` data.dir = "x,y",z `, []string{"data.dir", "x,y", "z"}},
		{"key=", nil}, {"key=,", nil}, {"key=1,", nil}, {"key=,1", nil}, {"key=1,,2", nil}, {"=1", nil}, {"key", nil}, {"", nil},
	} {
		w, err := parseSweep(c.text)
		got := append([]string{w.key}, w.values...)
		if c.want == nil && !fault.Is(err) || c.want != nil && (err != nil || !slices.Equal(got, c.want)) {
			t.Errorf("%q is %q, %v; want %q", c.text, got, err, c.want)
		}
	}
}

func FuzzParseSweep(f *testing.F) {
	for _, seed := range []string{"a=1,2", "a=[1,2],3", "a='x,y'", "a==", "a=\",\"", "a=]],["} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := parseSweep(text)
		if err != nil {
			if !fault.Is(err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if w.key == "" || len(w.values) == 0 || w.key != strings.TrimSpace(w.key) {
			t.Errorf("%q is %q", text, w)
		}
		if points := combine([]sweep{w, w}); len(points) != len(w.values)*len(w.values) {
			t.Errorf("%q makes %d points", text, len(points))
		}
	})
}

func TestCombine(t *testing.T) {
	points := combine([]sweep{{"method.lambda", []string{"1", "2"}}, {"seedless", []string{"x"}}, {"optim.lr", []string{"3", "4"}}})
	var names []string
	for _, p := range points {
		names = append(names, p.name+" "+strings.Join(p.sets, " "))
	}
	want := []string{
		"lambda=1,lr=3 method.lambda=1 seedless=x optim.lr=3", "lambda=1,lr=4 method.lambda=1 seedless=x optim.lr=4",
		"lambda=2,lr=3 method.lambda=2 seedless=x optim.lr=3", "lambda=2,lr=4 method.lambda=2 seedless=x optim.lr=4",
	}
	if !slices.Equal(names, want) {
		t.Errorf("points %q, want %q", names, want)
	}
}

// Seed 1 of all arms comes first, and shards are a partition.
func TestCellsAndShards(t *testing.T) {
	s := &Study{Arms: []Arm{{Name: "a"}, {Name: "b"}, {Name: "c"}}, Seeds: []uint64{1, 5}}
	var names []string
	for _, c := range s.Cells() {
		names = append(names, c.Name())
	}
	want := []string{"a/seed-1", "b/seed-1", "c/seed-1", "a/seed-5", "b/seed-5", "c/seed-5"}
	if !slices.Equal(names, want) {
		t.Errorf("cells %v, want %v", names, want)
	}
	for n := 1; n <= 8; n++ {
		var all []string
		for i := 1; i <= n; i++ {
			for _, c := range Shard(s.Cells(), i, n) {
				all = append(all, c.Name())
			}
		}
		if slices.Sort(all); !slices.Equal(all, slices.Sorted(slices.Values(want))) {
			t.Errorf("%d shards have %v", n, all)
		}
	}
}

// A recipe by scale falls back on that of the next larger scale.
func TestRecipeByScale(t *testing.T) {
	for _, c := range []struct {
		b           byScale
		scale, want string
	}{
		{byScale{"": "x"}, "", "x"}, {byScale{"": "x"}, "full", "x"},
		{byScale{"short": "s", "full": "f"}, "short", "s"}, {byScale{"short": "s", "full": "f"}, "medium", "f"},
		{byScale{"full": "f"}, "short", "f"}, {byScale{"short": "s"}, "full", ""}, {byScale{"short": "s", "": "x"}, "full", "x"},
	} {
		if got := c.b.at(c.scale); got != c.want {
			t.Errorf("%v at %q is %q, want %q", c.b, c.scale, got, c.want)
		}
	}
}

// outcomes of an arm with the given last heads, seed 1 on; NaN stands for a run that failed.
func outcomes(values ...float64) (all []*Outcome) {
	for i, v := range values {
		o := &Outcome{Seed: uint64(i) + 1, Summary: record.Summary{TestAcc: v, ModuleAcc: []float64{v - 1, v + 1, v}}}
		if math.IsNaN(v) {
			o.Failed = "diverged"
		}
		all = append(all, o)
	}
	return all
}

func TestVerdict(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		base, other []float64
		want        string
	}{
		// Differences 1, 1.1, 0.9: mean 1, sd 0.1, half of the interval 4.30265·0.1/√3 = 0.248.
		{[]float64{80, 81, 82}, []float64{81, 82.1, 82.9}, "ahead by 1.0 ± 0.2 points, n = 3"},
		{[]float64{80, 81, 82}, []float64{79, 79.9, 81.1}, "behind by 1.0 ± 0.2 points, n = 3"},
		// Differences −1, 1: sd √2, half 12.706·1 = 12.7.
		{[]float64{80, 81}, []float64{79, 82}, "no difference shown: interval −12.7…12.7, n = 2"},
		{[]float64{80}, []float64{81}, "ahead by 1.0 points in one seed, which shows nothing by itself"},
		{[]float64{80}, []float64{80.01}, "level in one seed, which shows nothing by itself"},
		{[]float64{nan, 80}, []float64{80, nan}, "not compared: no seed that the baseline has, too; 1 of 2 runs failed: diverged"},
		{[]float64{80}, []float64{nan}, "no run came to its end; 1 of 1 runs failed: diverged"},
		{[]float64{80}, nil, "not run yet"},
		// The seed that one of them lacks is in no pair.
		{[]float64{80, 81, nan}, []float64{81, 82, 99}, "ahead by 1.0 ± 0.0 points, n = 2"},
	} {
		s := &Study{Name: "x", Metric: Last, Baseline: "base", Arms: []Arm{{Name: "base", Baseline: "base"}, {Name: "other", Baseline: "base"}}, Seeds: []uint64{1, 2, 3}}
		rep, err := s.report(map[*Arm][]*Outcome{&s.Arms[0]: outcomes(c.base...), &s.Arms[1]: outcomes(c.other...)})
		if err != nil {
			t.Fatal(err)
		}
		if got := rep.Verdict(rep.Rows[1]); got != c.want {
			t.Errorf("%v beside %v: %q, want %q", c.other, c.base, got, c.want)
		}
		if got := rep.Verdict(rep.Rows[0]); !strings.HasPrefix(got, "the baseline") {
			t.Errorf("the baseline: %q", got)
		}
		if _, err := rep.CSV(); err != nil {
			t.Error(err)
		}
	}
}

func TestMetric(t *testing.T) {
	s := record.Summary{TestAcc: 3, ModuleAcc: []float64{math.NaN(), 5, 3}, EMAAcc: []float64{1, 4}, ProbeAcc: []float64{2}, ValAcc: new(6.0)}
	for m, want := range map[Metric]float64{Last: 3, Best: 5, EMA: 4, Probe: 2, Validation: 6} {
		if got := m.of(s); got != want {
			t.Errorf("%s is %v, want %v", m, got, want)
		}
	}
	if !math.IsNaN(EMA.of(record.Summary{})) || !math.IsNaN(Best.of(record.Summary{})) || !math.IsNaN(Validation.of(record.Summary{})) {
		t.Error("a metric that was not measured has a value")
	}
}

func TestSlots(t *testing.T) {
	t.Setenv("CUDA_VISIBLE_DEVICES", "")
	got := slots(3, 8, []string{"cuda:0", "cuda:1"})
	want := []string{"0", "1", "0"}
	for i, s := range got {
		if s.threads != 2 || s.device != "cuda" || !slices.Equal(s.env, []string{"CUDA_VISIBLE_DEVICES=" + want[i]}) {
			t.Errorf("slot %d is %+v", i, s)
		}
	}
	t.Setenv("CUDA_VISIBLE_DEVICES", "4,6")
	if got := slots(1, 1, []string{"cuda:1"}); got[0].env[0] != "CUDA_VISIBLE_DEVICES=6" {
		t.Errorf("the second of cards 4 and 6 is %v", got[0].env)
	}
	if got := slots(4, 2, nil); len(got) != 4 || got[0].threads != 1 || got[0].device != "" {
		t.Errorf("slots without devices are %+v", got)
	}
}

func TestLastComplaint(t *testing.T) {
	var l lastLines
	l.Write([]byte("step 1\rstep 2\nwarning: x\nlocus: data.batch is 0\nmore\n"))
	if got := l.complaint("?"); got != "data.batch is 0" {
		t.Errorf("complaint %q", got)
	}
	l.Write([]byte(strings.Repeat("x", 10_000)))
	if got := l.complaint("signal: killed"); got != "signal: killed" {
		t.Errorf("complaint %q", got)
	}
}
