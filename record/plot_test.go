package record

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/locus-learn/locus/internal/fault"
)

// labels parses the SVG at path, which proves it well-formed, and returns its texts, each in a line.
func labels(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var texts strings.Builder
	for in := xml.NewDecoder(f); ; {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			return texts.String()
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			for _, a := range token.Attr {
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Fatalf("%s: %s=%q cannot be drawn", path, a.Name.Local, a.Value)
				}
			}
		case xml.CharData:
			if s := strings.TrimSpace(string(token)); s != "" {
				texts.WriteString(s + "\n")
			}
		}
	}
}

func TestPlotRun(t *testing.T) {
	noise := steps(3000, 16, 1)
	noise[7].ModuleLoss[3] = math.Inf(1)
	tests := []struct {
		name   string
		epochs []Epoch
		steps  []Step
		want   map[string]string // picture to a text in it; "" for no picture
	}{
		{"usual", epochs(3, 2), steps(30, 2, 5),
			map[string]string{"accuracy": "module 2: 85.5 % (last)", "loss": "module 1: 0.836", "reconciliation": "module 2: 0.82 (last)"}},
		{"many modules", epochs(40, 16), noise, map[string]string{"accuracy": "module 15: 89.0 %", "loss": "module 3:"}},
		{"single point", epochs(1, 1), steps(1, 1, 1),
			map[string]string{"accuracy": "56.9 %", "loss": "module 1: 0.736 (last)", "reconciliation": ""}},
		{"epochs only", epochs(3, 2), nil, map[string]string{"accuracy": "epoch", "loss": "module 1: 0.333 (last)", "reconciliation": ""}},
		{"steps only", nil, steps(30, 2, 5), map[string]string{"accuracy": "", "loss": "step", "reconciliation": "module 2"}},
		{"bare numbers", []Epoch{{Epoch: 1, TestAcc: 50}}, []Step{{Step: 1, Loss: 2}},
			map[string]string{"accuracy": "module 1 (last)", "loss": "module 1: 2.000 (last)"}},
		{"huge", nil, []Step{{Step: 1, Loss: 1e16}, {Step: 2, Loss: 1e16 + 2}, {Step: 1 << 40, Loss: -1e300}}, map[string]string{"loss": "step"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := PlotRun(dir, tt.epochs, tt.steps); err != nil {
				t.Fatal(err)
			}
			for name, text := range tt.want {
				path := filepath.Join(dir, "plots", name+".svg")
				if text == "" {
					if _, err := os.Stat(path); err == nil {
						t.Errorf("%s is drawn without data", name)
					}
				} else if got := labels(t, path); !strings.Contains(got, text) {
					t.Errorf("%s: no %q among\n%s", name, text, got)
				}
			}
		})
	}
}

func TestPlotCompare(t *testing.T) {
	runs := []Series{
		{Name: "bp <all>", Epochs: epochs(3, 1), Steps: steps(30, 1, 1)},
		{Name: "sgr", Epochs: epochs(3, 4)},
		{Name: "short", Steps: steps(1, 1, 1)},
		{Name: "diverged", Epochs: []Epoch{{Epoch: 1, Step: 10, TestAcc: math.NaN(), TrainLoss: math.NaN()}}},
	}
	for n := 1; n <= len(runs); n++ {
		path := filepath.Join(t.TempDir(), "compare.svg")
		if err := PlotCompare(path, runs[len(runs)-n:]); err != nil {
			t.Fatal(err)
		}
		got := labels(t, path)
		for text, want := range map[string]bool{
			"Training loss": true, "Memory": true, "diverged": true, "not measured": true,
			"Accuracy against memory": n > 2, "Test accuracy": n > 2, // the others have no accuracy, or no two
		} {
			if strings.Contains(got, text) != want {
				t.Errorf("%d runs: %q is there: %t, want %t, among\n%s", n, text, !want, want, got)
			}
		}
		if n == len(runs) && (!strings.Contains(got, "bp <all>") || !strings.Contains(got, "300.0")) {
			t.Errorf("no name or peak of the first run among\n%s", got)
		}
	}
}

// Wilson's interval, by hand: of 50 of 100, 0.5 ± 1.96·√(0.25/100 + 1.96²/40000) / (1 + 1.96²/100).
func TestIntervalOfAnAccuracy(t *testing.T) {
	for _, tt := range []struct {
		accuracy  float64
		n         int
		low, high float64
	}{{50, 100, 40.383, 59.617}, {88.05, 10000, 87.400, 88.671}, {0, 10, 0, 27.754}, {100, 10, 72.246, 100}} {
		low, high := interval(tt.accuracy, tt.n)
		if math.Abs(low-tt.low) > 2e-3 || math.Abs(high-tt.high) > 2e-3 {
			t.Errorf("%g %% of %d: %.3f to %.3f, want %.3f to %.3f", tt.accuracy, tt.n, low, high, tt.low, tt.high)
		}
	}
}

// The picture says what its bars are where the number of test images is known, and has none elsewhere.
func TestComparedAccuraciesHaveIntervals(t *testing.T) {
	for n, want := range map[int]bool{0: false, 1000: true} {
		path := filepath.Join(t.TempDir(), "compare.svg")
		if err := PlotCompare(path, []Series{{Name: "sgr", TestImages: n, Epochs: epochs(3, 1)}}); err != nil {
			t.Fatal(err)
		}
		if got := labels(t, path); strings.Contains(got, "95 % interval") != want {
			t.Errorf("%d test images: an interval is named: %t, want %t, in\n%s", n, !want, want, got)
		}
	}
}

// An axis of accuracies shows twenty points at least, so that noise does not look like a difference, and none that cannot be.
func TestAccuracyAxis(t *testing.T) {
	for _, tt := range []struct{ low, high, from, to float64 }{
		{86, 87.5, 76, 97}, {99, 99.5, 79, 100}, {1, 2, 0, 21}, {10, 90, 6, 94}, {50, 50, 39, 61},
	} {
		p := newChart("", "", "")
		if _, err := p.line(plotter.XYs{{X: 1, Y: tt.low}, {X: 2, Y: tt.high}}, distinct(0)); err != nil {
			t.Fatal(err)
		}
		p.fitAccuracy()
		if math.Abs(p.Y.Min-tt.from) > 1 || math.Abs(p.Y.Max-tt.to) > 1 || p.Y.Max-p.Y.Min < leastSpan {
			t.Errorf("%g to %g is drawn on an axis from %g to %g, want about %g to %g", tt.low, tt.high, p.Y.Min, p.Y.Max, tt.from, tt.to)
		}
	}
}

// Texts of points that lie together stay inside the picture and clear of each other and of every point.
func TestTextsKeepClear(t *testing.T) {
	within := vg.Rectangle{Max: vg.Point{X: 300, Y: 200}}
	size := vg.Point{X: 90, Y: 12}
	var points []vg.Point
	var taken []vg.Rectangle
	for i := range 8 {
		at := vg.Point{X: 150 + vg.Length(i%3), Y: 100 + vg.Length(i)}
		points = append(points, at)
		taken = append(taken, around(at, 5))
	}
	for _, at := range append(points, vg.Point{X: 295, Y: 195}, vg.Point{X: 5, Y: 5}) {
		box := place(within, at, size, taken)
		for _, r := range taken {
			if overlap(r, box) {
				t.Errorf("the text of %v lies at %v, on %v", at, box, r)
			}
		}
		if box.Min.X < 0 || box.Min.Y < 0 || box.Max.X > within.Max.X || box.Max.Y > within.Max.Y {
			t.Errorf("the text of %v lies at %v, outside", at, box)
		}
		taken = append(taken, box)
	}
}

func TestNothingToPlot(t *testing.T) {
	diverged := []Step{{Step: 1, Loss: math.NaN()}}
	file := filepath.Join(t.TempDir(), "x.svg")
	for name, err := range map[string]error{
		"no events":  PlotRun(t.TempDir(), nil, nil),
		"only NaN":   PlotRun(t.TempDir(), nil, diverged),
		"no runs":    PlotCompare(file, nil),
		"empty run":  PlotCompare(file, []Series{{Name: "a", Steps: diverged}, {Name: "b"}}),
		"no folder":  PlotCompare(filepath.Join(file, "y.svg"), []Series{{Name: "a", Steps: diverged}}),
		"dir a file": PlotRun("/dev/null", epochs(1, 1), nil),
	} {
		if !fault.Is(err) {
			t.Errorf("%s: error %v, want a fault", name, err)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("an empty picture was written")
	}
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		count     bool
		want      string
	}{
		{0, 100, false, "0 20 40 60 80 100"},
		{8, 93, false, "20 40 60 80"},
		{-0.1, 0.8, false, "0.0 0.2 0.4 0.6 0.8"},
		{0.012, 0.0155, false, "0.0120 0.0125 0.0130 0.0135 0.0140 0.0145 0.0150 0.0155"},
		{0, 2, true, "0 1 2"},
		{0, 20, true, "0 5 10 15 20"},
		{0, 78200, true, "0 10k 20k 30k 40k 50k 60k 70k"},
		{0, 13000, true, "0 2000 4000 6000 8000 10k 12k"},
	} {
		ticks := roundTicks
		if tt.count {
			ticks = countTicks
		}
		var got []string
		for _, tick := range ticks(tt.low, tt.high) {
			got = append(got, tick.Label)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("ticks of %v to %v are %s, want %s", tt.low, tt.high, s, tt.want)
		}
	}
}

func TestThinKeepsTheMean(t *testing.T) {
	var points plotter.XYs
	for i := range 1003 {
		points = append(points, plotter.XY{X: float64(i), Y: 3})
	}
	got := thin(points, 10)
	if len(got) != 10 {
		t.Fatalf("%d points, want 10", len(got))
	}
	for i, p := range got {
		if math.Abs(p.Y-3) > 1e-9 || i > 0 && p.X <= got[i-1].X {
			t.Errorf("point %d is %v", i, p)
		}
	}
}
