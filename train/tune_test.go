package train_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/locus-learn/locus/train"
)

// A run with frozen parts, rates by layer and a warm-up goes on bit for bit where it was stopped, in the warm-up and behind it.
func TestTunedRunsResume(t *testing.T) {
	b := newWorkbench(t)
	for _, sets := range [][]string{
		{"method.name=bp", "tune.freeze=stem,layer1", "tune.layer_decay=0.7", "optim.name=adamw", "optim.ema=0.9"},
		{"method.name=sgr", "tune.freeze=stem,layer1.0,heads.1", "tune.head_rate=2", "tune.head_warmup=0.5", "optim.accumulate=2"},
		{"method.name=layerwise", "tune.freeze=body", "tune.head_warmup=0.4", "optim.name=adamw"},
		{"method.name=layerwise", "tune.head_warmup=0.5", "method.pipeline=2"},
		{"method.name=sgr", "tune.head_warmup=0.5", "tune.freeze=stem,layer1,heads.1", "method.resident=1", "method.visit=2"},
	} {
		sets = append(sets, "threads=1", "optim.lr=0.01")
		b.must(t, "whole", nil, sets...)
		want := b.weights(t, "whole")
		for _, at := range []int{4, 9} {
			ctx, cancel := context.WithCancel(t.Context())
			stop := newSpy()
			stop.at, stop.fire = at, cancel
			if _, err := b.run(t, ctx, "parts", stop, false, sets...); !errors.Is(err, train.ErrInterrupted) {
				t.Fatalf("%v: %v", sets, err)
			}
			if _, err := b.run(t, t.Context(), "parts", nil, true, sets...); err != nil {
				t.Fatal(err)
			}
			for name, bytes := range b.weights(t, "parts") {
				if !slices.Equal(bytes, want[name]) {
					t.Errorf("%v stopped at %d: %s differs", sets, at, name)
				}
			}
			b.remove(t, "parts")
		}
		b.remove(t, "whole")
	}
}

func (b workbench) remove(t *testing.T, out string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(b.dir, out)); err != nil {
		t.Fatal(err)
	}
}
