package record

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The file is a sound event file with the plugin's three summaries and the metrics; scripts/hparams.py shows that the
// plugin reads it.
func TestWriteHParams(t *testing.T) {
	dir := t.TempDir()
	h := HParams{
		Group: "sgr", Values: []HParam{{Name: "lr", Number: 0.5}, {Name: "method", Text: "sgr"}},
		Metrics: []Metric{{"study/last_head", 66.5}, {"study/best_head", 67}},
	}
	for range 2 { // the second replaces the first
		if err := WriteHParams(dir, h); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, hparamsFile)
	events := readEvents(t, path)
	if len(events) != 5 || events[0].version != "brain.Event:2" || events[3].scalars["study/last_head"] != 66.5 || events[3].scalars["study/best_head"] != 67 {
		t.Errorf("events %+v", events)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{tagHParams, tagSessionStarted, tagSessionEnded, hparamsPlugin, "sgr", "lr"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("no %q in the file", want)
		}
	}
}
