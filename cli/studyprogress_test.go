package cli

import (
	"strings"
	"testing"
	"unicode/utf8"

	means "github.com/locus-learn/locus/internal/sample" // this package's tests have a sample
	"github.com/locus-learn/locus/study"
)

// The live table tells what is done, what is under way, and the time left with so many runs at a time.
func TestStudyProgressTable(t *testing.T) {
	rows := []study.Progress{
		{Arm: &study.Arm{Name: "bp"}, Done: 2, Left: 1, Steps: 100, Seconds: 60, Metric: means.Of([]float64{66, 68})},
		{Arm: &study.Arm{Name: "sgr"}, Failed: 1, Running: 2, Step: 120, Steps: 100, Seconds: 180},
	}
	text := progressTable(rows, 240, 2, 200, 24)
	for _, want := range []string{"67.00 ± 1.41", "120 of 200", "1m0s", "3m0s", "time left, 2 at a time: 2m0s"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	small := strings.Split(progressTable(rows, 240, 2, 40, 8), "\n")
	if text := strings.Join(small, "\n"); len(small) > 8 || strings.Contains(text, "bp") || !strings.Contains(text, "sgr") || !strings.Contains(text, "arms not shown: 1") {
		t.Errorf("on 8 lines of 40 columns it is\n%s", text)
	}
	for _, line := range small {
		if n := utf8.RuneCountInString(line); n > 40 {
			t.Errorf("a line has %d columns: %s", n, line)
		}
	}
}
