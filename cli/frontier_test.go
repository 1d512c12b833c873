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
	if r := locus(t.Context(), "frontier", "resnet32", "--methods", "bp,nothing"); r.code != 2 {
		t.Errorf("an unknown method: exit code %d", r.code)
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
