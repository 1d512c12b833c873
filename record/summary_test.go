package record

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
)

func TestSummaryRoundTrip(t *testing.T) {
	want := Summary{
		Name: "a", Method: "sgr", Subset: true, Seed: 1 << 63, Modules: 2, Cuts: []string{"layer1.0"}, TestAcc: math.NaN(),
		ModuleAcc: []float64{10, math.NaN()}, PeakBytes: 1 << 40, SecondsPerStep: 0.1, Stopped: "loss is NaN",
	}
	path := filepath.Join(t.TempDir(), "summary.json")
	for _, v := range []any{"old", want} { // the second replaces the first
		if err := WriteJSON(path, v); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(text), "}\n") || !strings.Contains(string(text), "\n  \"test_acc\": null,\n") {
		t.Errorf("file is\n%s", text)
	}
	var got Summary
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
}

func TestWriteJSONErrors(t *testing.T) {
	dir := t.TempDir()
	if err := WriteJSON(filepath.Join(dir, "none", "x.json"), 1); !fault.Is(err) {
		t.Errorf("missing folder: %v, want a fault", err)
	}
	path := filepath.Join(dir, "x.json")
	if err := WriteJSON(path, func() {}); err == nil || fault.Is(err) || !strings.Contains(err.Error(), path) {
		t.Errorf("value that is no JSON: %v, want an ordinary error that names the file", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestCollectEnv(t *testing.T) {
	env := CollectEnv("libtorch 2.9", 4)
	if env.Engine != "libtorch 2.9" || env.Threads != 4 || env.Go != runtime.Version() || env.Cores < 1 || env.CPU == "" || env.Started.IsZero() {
		t.Errorf("env = %+v", env)
	}
	host, _ := os.Hostname()
	if text, _ := json.Marshal(env); host != "" && strings.Contains(string(text), `"`+host+`"`) {
		t.Errorf("%s names the host", text)
	}
}

func TestCPUModel(t *testing.T) {
	for text, want := range map[string]string{
		"processor\t: 0\nmodel name\t: A: fast one \n\nmodel name\t: B\n": "A: fast one",
		"processor\t: 0\nBogoMIPS\t: 50.00\n":                             "unknown",
		"":                                                                "unknown",
	} {
		if got := cpuModel(strings.NewReader(text)); got != want {
			t.Errorf("cpuModel(%q) = %q, want %q", text, got, want)
		}
	}
}
