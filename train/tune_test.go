package train_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// Heads that a checkpoint lacks begin better than drawn ones, bodies keep their bits, and a run that was killed before its first
// step begins with the same heads again.
func TestHeadsBeginOnPretrainedBodies(t *testing.T) {
	b := newWorkbench(t)
	b.must(t, "base", nil, "method.name=bp")
	start := func(out string, sets ...string) map[string][]byte {
		t.Helper()
		c, err := train.Load(filepath.Join(b.dir, "small.yaml"), append(sets, "method.name=layerwise", "threads=1"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := train.FromRecipe(c, train.Options{Data: b.dir, Out: filepath.Join(b.dir, out), Steps: 0, Init: filepath.Join(b.dir, "base/last.safetensors")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Train(t.Context()); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		return b.weights(t, out)
	}
	for _, head := range []string{"linear", "conv"} {
		fresh := start("fresh-"+head, "head.name="+head)
		streamed := map[string]string{"means": "method.resident=1", "probe": "method.pipeline=0"}
		for _, how := range []string{"means", "probe"} {
			got := start(how+head, "head.name="+head, "tune.head_init="+how)
			again := start(how+head+"again", "head.name="+head, "tune.head_init="+how, streamed[how])
			for name, bytes := range got {
				isHead := strings.HasPrefix(name, "heads.")
				isLast := isHead && strings.Contains(name, ".fc.")
				if same := slices.Equal(bytes, fresh[name]); isLast && same || !isHead && !same {
					t.Errorf("%s %s: %s is as drawn: %v", head, how, name, same)
				}
				if !slices.Equal(bytes, again[name]) {
					t.Errorf("%s %s: %s differs when it is done again", head, how, name)
				}
			}
		}
	}
}
