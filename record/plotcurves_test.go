package record

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
)

func TestPlotCurves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "curves.svg")
	memory := Curves{Title: "Memory", X: "modules", Y: "GiB", Levels: []Level{{"whole", 8}}}
	time := Curves{Title: "Time", X: "modules", Y: "seconds"}
	for k := 1.0; k <= 4; k++ {
		memory.Add("sgr", k, 8/k)
		memory.Add("layerwise", k, 7/k)
		time.Add("sgr", k, 1)
	}
	memory.Mark("least", 4, 7.0/4)
	if err := PlotCurves(path, memory, time); err != nil {
		t.Fatal(err)
	}
	text := labels(t, path)
	for _, want := range []string{"Memory", "Time", "modules", "GiB", "seconds", "sgr", "layerwise", "whole", "least"} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the picture has no %q:\n%s", want, text)
		}
	}
	err := PlotCurves(path, Curves{Title: "Nothing"})
	if _, user := errors.AsType[*fault.Fault](err); !user || !strings.Contains(err.Error(), "Nothing") {
		t.Errorf("no curves: error %v, want a fault that names the chart", err)
	}
}

// Heights begin at 0 so that they compare, unless some are below it: none is cut off.
func TestCurvesBelowZeroAreWhole(t *testing.T) {
	for _, tt := range []struct{ low, want float64 }{{1, 0}, {0, 0}, {-2, -2}} {
		var c Curves
		c.Add("a", 1, 3)
		c.Add("a", 2, tt.low)
		p, _, err := c.panel()
		if err != nil || p.Y.Min > tt.want || p.Y.Max < 3 || tt.want == 0 && p.Y.Min != 0 {
			t.Errorf("heights from %v to 3: axis from %v to %v, error %v", tt.low, p.Y.Min, p.Y.Max, err)
		}
	}
}
