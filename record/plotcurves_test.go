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
	if err := PlotCurves(path, memory, time); err != nil {
		t.Fatal(err)
	}
	text := labels(t, path)
	for _, want := range []string{"Memory", "Time", "modules", "GiB", "seconds", "sgr", "layerwise", "whole"} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the picture has no %q:\n%s", want, text)
		}
	}
	err := PlotCurves(path, Curves{Title: "Nothing"})
	if _, user := errors.AsType[*fault.Fault](err); !user || !strings.Contains(err.Error(), "Nothing") {
		t.Errorf("no curves: error %v, want a fault that names the chart", err)
	}
}
