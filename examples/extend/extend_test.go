package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/locus-learn/locus/cli"
	"github.com/locus-learn/locus/method/methodtest"
)

// output runs the command and returns what it prints; it must succeed.
func output(t *testing.T, args ...string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	defer func() { os.Stdout = stdout }()
	done := make(chan string)
	go func() {
		var b bytes.Buffer
		io.Copy(&b, r)
		done <- b.String()
	}()
	code := cli.Main(args)
	w.Close()
	text := <-done
	if code != 0 {
		t.Fatalf("locus %s ends with %d:\n%s", strings.Join(args, " "), code, text)
	}
	return text
}

// The command knows what the files here register.
func TestListed(t *testing.T) {
	for list, name := range map[string]string{"methods": "sharp", "models": "small", "heads": "deep", "data": "stripes"} {
		if got := output(t, "list", list); !strings.Contains(got, name) {
			t.Errorf("list %s has no %s:\n%s", list, name, got)
		}
	}
}

// One step's memory of all of it together: it is built, cut, planned and run.
func TestBench(t *testing.T) {
	got := output(t, "bench", "--model", "small", "--methods", "sharp", "--modules", "3", "--batch", "8", "--image", "16",
		"--steps", "1", "--set", "head.name=deep", "--set", "head.width=16", "--set", "optim.name=unit-steps", "--json")
	if !strings.Contains(got, `"method": "sharp"`) {
		t.Errorf("bench says\n%s", got)
	}
}

// A training with all of it: what the metric measures is in the events, a value a head.
func TestTrain(t *testing.T) {
	recipe, out := filepath.Join(t.TempDir(), "mine.yaml"), filepath.Join(t.TempDir(), "run")
	text := `data: {set: stripes, batch: 32}
model: {name: small}
method: {name: sgr-sureness, modules: 2}
head: {name: deep, width: 16}
optim: {name: unit-steps, lr: 0.1}
schedule: {epochs: 3}
`
	if err := os.WriteFile(recipe, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	output(t, "train", recipe, "--out", out)
	if got := output(t, "eval", out); !strings.Contains(got, "sureness") {
		t.Errorf("eval does not say what heads are measured by:\n%s", got)
	}
	metrics, err := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`"scores":\{"sureness":\[([0-9.]+),([0-9.]+)\]\}`).FindAllStringSubmatch(string(metrics), -1)
	if len(found) != 3 {
		t.Fatalf("sureness of two heads is in %d epochs, want 3:\n%s", len(found), metrics)
	}
	for k, text := range found[2][1:] {
		if v, err := strconv.ParseFloat(text, 64); err != nil || v < 60 || v > 100 { // chance is 50
			t.Errorf("sureness of head %d is %s %% in the end: it has not learned", k+1, text)
		}
	}
}

// What the methods claim of themselves is tried like any other's.
func TestMethodsConform(t *testing.T) {
	subjects, err := methodtest.Subjects(1)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, s := range subjects {
		if s.Name != "sharp" && s.Name != "sgr-sureness" {
			continue
		}
		tried++
		methodtest.Run(s, func(f methodtest.Finding) {
			if f.Failed() {
				t.Errorf("%s, %s: %s", f.Method, f.Check, f.Failure)
			}
		})
	}
	if tried != 2 {
		t.Errorf("%d methods were tried, want 2", tried)
	}
}
