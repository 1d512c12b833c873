package bench_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/bench"
	"github.com/locus-learn/locus/internal/fault"
)

func row(change func(*bench.Result)) bench.Result {
	r := bench.Result{
		Method: "sgr", Model: "resnet32", Modules: 3, Cuts: []string{"layer1.4", "layer2.4"}, Batch: 128, Image: 32,
		Precision: "fp32", Threads: 2, StepSeconds: 0.50, StepSecondsMin: 0.48, StepSecondsMax: 0.53,
		ImagesPerSecond: 256, PeakBytes: 100 << 20, RestingBytes: 10 << 20, ActivationBytes: 90 << 20,
	}
	if change != nil {
		change(&r)
	}
	return r
}

func TestAgainstFlagsRegressions(t *testing.T) {
	for _, tt := range []struct {
		name           string
		change         func(*bench.Result)
		slower, larger bool
	}{
		{"the same", nil, false, false},
		{"slower within the spread", func(r *bench.Result) { r.StepSeconds = 0.54 }, false, false},
		{"slower", func(r *bench.Result) { r.StepSeconds = 0.56 }, true, false},
		{"slower but unsteady", func(r *bench.Result) { r.StepSeconds, r.StepSecondsMax = 0.56, 0.58 }, false, false},
		{"faster", func(r *bench.Result) { r.StepSeconds = 0.1 }, false, false},
		{"a byte more", func(r *bench.Result) { r.PeakBytes++ }, false, true},
		{"a byte less", func(r *bench.Result) { r.PeakBytes-- }, false, false},
		{"more resident memory", func(r *bench.Result) { r.PeakRSS = 1 << 40 }, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changes, err := bench.Against([]bench.Result{row(tt.change)}, []bench.Result{row(nil)})
			if err != nil {
				t.Fatal(err)
			}
			c := changes[0]
			if c.Slower() != tt.slower || c.Larger() != tt.larger || bench.Regressed(changes) != (tt.slower || tt.larger) {
				t.Errorf("slower %v, larger %v, regressed %v", c.Slower(), c.Larger(), bench.Regressed(changes))
			}
			if flagged := !strings.Contains(c.String(), "no regression"); flagged != bench.Regressed(changes) {
				t.Errorf("says %q", c)
			}
		})
	}
}

func TestAgainstMatchesRows(t *testing.T) {
	for name, change := range map[string]func(*bench.Result){
		"method":    func(r *bench.Result) { r.Method = "bp" },
		"model":     func(r *bench.Result) { r.Model = "resnet50" },
		"modules":   func(r *bench.Result) { r.Modules = 2 },
		"cuts":      func(r *bench.Result) { r.Cuts = []string{"layer1.3", "layer2.4"} },
		"batch":     func(r *bench.Result) { r.Batch = 64 },
		"image":     func(r *bench.Result) { r.Image = 64 },
		"precision": func(r *bench.Result) { r.Precision = "bf16" },
		"threads":   func(r *bench.Result) { r.Threads = 1 },
	} {
		other := row(change)
		if _, err := bench.Against([]bench.Result{other}, []bench.Result{row(nil)}); !fault.Is(err) {
			t.Errorf("another %s is compared: error %v", name, err)
		}
		changes, err := bench.Against([]bench.Result{other, row(nil)}, []bench.Result{row(nil)})
		if err != nil || len(changes) != 1 || changes[0].Now.Method != "sgr" {
			t.Errorf("beside another %s: %v, error %v", name, changes, err)
		}
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "before.json")
	write := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal([]bench.Result{row(nil), row(func(r *bench.Result) { r.Method, r.Cuts = "bp", []string{} })})
	if err != nil {
		t.Fatal(err)
	}
	write(data)
	rows, err := bench.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if changes, err := bench.Against(rows, rows); err != nil || len(changes) != 2 || bench.Regressed(changes) {
		t.Errorf("a run differs from itself: %v, error %v", changes, err)
	}
	for _, text := range []string{"", "{}", `[{"method": "sgr"}]`, `["sgr"]`} {
		write([]byte(text))
		if _, err := bench.Read(path); !fault.Is(err) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: error %v", text, err)
		}
	}
	if _, err := bench.Read(path + ".not"); !fault.Is(err) {
		t.Errorf("a missing file: error %v", err)
	}
}

func TestPlot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.svg")
	rows := []bench.Result{row(func(r *bench.Result) { r.Method, r.Modules = "bp", 1 }), row(nil)}
	if err := bench.Plot(path, rows); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{">bp<", ">sgr, K=3<", ">0.5000<", ">100.0<", "seconds a step", "needed within a step"} {
		if !strings.Contains(string(svg), text) {
			t.Errorf("the plot lacks %s", text)
		}
	}
	if err := bench.Plot(path, nil); !fault.Is(err) {
		t.Errorf("a plot of nothing: error %v", err)
	}
}
