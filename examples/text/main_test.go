package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// write makes files of lines in two languages that differ in every line.
func write(t *testing.T, folder string) {
	t.Helper()
	for i := range 40 {
		var code, prose strings.Builder
		for j := range 16 {
			fmt.Fprintf(&code, "\tfor k := range n[%d] { sum += k * %d }\n", i+j, i*j)
			fmt.Fprintf(&prose, "Line %d of the chapter %d has words.\n", j, i)
		}
		for name, text := range map[string]string{fmt.Sprintf("code%d.go", i): code.String(), fmt.Sprintf("book%d.md", i): prose.String()} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRun(t *testing.T) {
	*from, *out, *epochs = t.TempDir(), t.TempDir(), 1
	write(t, *from)
	var text strings.Builder
	if err := run(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	peaks := map[string]float64{}
	for line := range strings.Lines(text.String()) {
		fields := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(line))
		var last, peak float64
		if n := len(fields); n > 3 {
			if _, err := fmt.Sscan(fields[n-3]+" "+fields[n-2], &last, &peak); err == nil {
				peaks[fields[0]] = peak
				if last < 95 {
					t.Errorf("%s", line)
				}
			}
		}
	}
	if len(peaks) != len(ways) || peaks["layerwise"] > peaks["bp"]*0.6 {
		t.Errorf("peaks are %v, of\n%s", peaks, text.String())
	}
	if n := torch.LiveTensors(); n != 0 {
		t.Errorf("%d tensors outlive the runs", n)
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "too few files") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that is not there is taken")
	}
}

func TestNumbers(t *testing.T) {
	for line, want := range map[string][]int64{"": {0, 0, 0}, "aé": {97, 128, 0}, "\x7f→": {127, 128, 0}} {
		if got := numbers(line); len(got) != places || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("%q: %v", line, got)
		}
	}
	if got := numbers(strings.Repeat("x", 100)); len(got) != places || got[places-1] != 'x' {
		t.Errorf("a long line: %v", got)
	}
}
