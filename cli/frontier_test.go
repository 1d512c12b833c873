package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/locus-learn/locus/plan"
)

// The command names each way, marks some, says what loses, and draws a picture with the marked ones.
func TestFrontierCommand(t *testing.T) {
	picture := t.TempDir() + "/frontier.svg"
	args := []string{"frontier", "resnet32", "--image", "16", "--batch", "8", "--threads", "1", "--set", "model.depth=8", "--methods", "sgr"}
	r := locus(t.Context(), append(args, "--plot", picture)...)
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s", r.code, r.err)
	}
	for _, want := range []string{"bp, checkpoints sqrt", "sgr K=2", "resident 1", "nothing beats it: use it when", "lose to back-propagation in both"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is not in\n%s", want, r.out)
		}
	}
	if svg, err := os.ReadFile(picture); err != nil || !strings.Contains(string(svg), "nothing beats") {
		t.Errorf("the picture does not mark what nothing beats: %v", err)
	}
	var f struct{ Points []plan.Point }
	if r := locus(t.Context(), append(args, "--json")...); r.code != 0 || json.Unmarshal([]byte(r.out), &f) != nil || len(f.Points) < 5 {
		t.Errorf("exit code %d, %d points", r.code, len(f.Points))
	}
	for _, mistake := range [][]string{{"--methods", "bp,nothing"}, {"--measure", "-1"}, {"--modules", "0"}} {
		if r := locus(t.Context(), append([]string{"frontier", "resnet32"}, mistake...)...); r.code != 2 {
			t.Errorf("%v: exit code %d", mistake, r.code)
		}
	}
}

// Measured, the peaks are the meter's: those of a prediction within 5 %. Ways are those that were asked for.
func TestMeasuredFrontier(t *testing.T) {
	args := []string{"frontier", "resnet32", "--image", "32", "--batch", "16", "--threads", "1", "--set", "model.depth=14", "--methods", "layerwise", "--modules", "2", "--json"}
	points := func(more ...string) map[string]plan.Point {
		var f struct{ Points []plan.Point }
		r := locus(t.Context(), append(args, more...)...)
		if r.code != 0 || json.Unmarshal([]byte(r.out), &f) != nil {
			t.Fatalf("exit code %d: %s", r.code, r.err)
		}
		all := map[string]plan.Point{}
		for _, p := range f.Points {
			all[p.Name()] = p
		}
		return all
	}
	predicted, measured := points(), points("--measure", "1")
	for _, name := range []string{"bp", "bp, checkpoints blocks", "bp, checkpoints sqrt", "layerwise K=2", "layerwise K=2, checkpoints sqrt"} {
		p, m := predicted[name], measured[name]
		if ratio := float64(p.PeakBytes) / float64(m.PeakBytes); !m.Measured || p.Measured || m.Seconds <= 0 || ratio < 0.95 || ratio > 1.05 {
			t.Errorf("%s: predicted %+v, measured %+v", name, p, m)
		}
	}
	if len(measured) != 6 {
		t.Errorf("%d ways were measured, want 6", len(measured))
	}
}

// What a plan says of modules that come and go.
func TestPlanOfAStream(t *testing.T) {
	r := locus(t.Context(), "plan", "--model", "resnet32", "--image", "16", "--modules", "4", "--resident", "1", "--visit", "4", "--batch", "8", "--threads", "1")
	for _, want := range []string{"1 of 4 modules in memory, visits of 4 batches", "MiB read", "of disk"} {
		if r.code != 0 || !strings.Contains(r.out, want) {
			t.Errorf("exit code %d, %q is not in\n%s%s", r.code, want, r.out, r.err)
		}
	}
}
