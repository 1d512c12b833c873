package bench_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/locus-learn/locus/bench"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// Run measures nothing where there is nothing to measure.
func TestRunRefuses(t *testing.T) {
	for _, o := range []bench.Options{{Steps: 1}, {Batch: 1}, {Batch: 1, Steps: -1}, {Batch: 1, Steps: 1, Warmup: -1}} {
		if rows, err := bench.Run(t.Context(), model.Defaults(), o); !fault.Is(err) || rows != nil {
			t.Errorf("%+v: rows %v, error %v", o, rows, err)
		}
	}
}

// activations measures methods on images of 32×32; bytes do not depend on the machine's speed.
func activations(t *testing.T, methods []string, sets ...string) map[string]float64 {
	t.Helper()
	c, err := train.Load("fashion-sgr", append([]string{"data.batch=16", "model.name=resnet32", "threads=1"}, sets...))
	if err != nil {
		t.Fatal(err)
	}
	spec := c.Spec(model.Input{Shape: nn.Shape{C: 3, H: 32, W: 32}, Classes: 10})
	rows, err := bench.Run(context.Background(), spec, bench.Options{Methods: methods, Batch: c.Data.Batch, LR: c.Optim.LR, Steps: 1})
	if err != nil {
		t.Fatal(err)
	}
	bytes := map[string]float64{}
	for _, r := range rows {
		bytes[r.Method] = float64(r.ActivationBytes)
	}
	return bytes
}

// The term costs little memory beside local learning without it: the aim is 1.15 times. Many modules with light heads miss
// it at 1.34, for the features and the gradient that wait while a pass is replayed, and so does a tangent in bfloat16, whose
// graph is a second one; the bounds there keep them from growing.
func TestActivationsOfSGRBesideLayerwise(t *testing.T) {
	for _, tt := range []struct {
		modules, width int // of the heads; 0 is as wide as their features
		precision      string
		most           float64
	}{
		{2, 0, "fp32", 1.03}, {3, 0, "fp32", 1.06}, {3, 128, "fp32", 1.15}, {16, 128, "fp32", 1.15}, {16, 0, "fp32", 1.36},
		{3, 0, "bf16", 1.20},
	} {
		t.Run(fmt.Sprintf("K=%d width=%d %s", tt.modules, tt.width, tt.precision), func(t *testing.T) {
			b := activations(t, []string{"layerwise", "sgr"}, fmt.Sprint("method.modules=", tt.modules),
				fmt.Sprint("head.width=", tt.width), "precision="+tt.precision)
			ratio := b["sgr"] / b["layerwise"]
			t.Logf("%.3f times layerwise", ratio)
			if ratio > tt.most {
				t.Errorf("%.3f times layerwise, want at most %g", ratio, tt.most)
			}
		})
	}
}

// Local learning needs as much memory as its largest module: depth is free where modules stay alike. That of global
// back-propagation grows with every block.
func TestActivationsAgainstDepth(t *testing.T) {
	methods := []string{"bp", "layerwise", "sgr"}
	shallow := activations(t, methods, "model.depth=14", "method.modules=7") // each block is a module
	deep := activations(t, methods, "model.depth=50", "method.modules=25")   // four times the blocks
	for _, m := range methods[1:] {
		ratio := deep[m] / shallow[m]
		t.Logf("%s: %.3f times", m, ratio)
		if ratio < 0.9 || ratio > 1.1 {
			t.Errorf("%s takes %.3f times the activations at four times the depth, want 0.9 to 1.1", m, ratio)
		}
	}
	if ratio := deep["bp"] / shallow["bp"]; ratio < 2.5 {
		t.Errorf("bp takes %.3f times the activations at four times the depth: the comparison says nothing", ratio)
	} else {
		t.Logf("bp: %.3f times", ratio)
	}
}

// Training that has found its rhythm asks the system for nothing: each tensor lies where freed ones of whatever size did.
func TestStepsTakeNoFreshMemory(t *testing.T) {
	for _, method := range []string{"bp", "layerwise", "sgr"} {
		t.Run(method, func(t *testing.T) {
			train := func() { activations(t, []string{method}, "data.batch=64") }
			train()
			before := torch.FreshBytes()
			train()
			if got := torch.FreshBytes() - before; got != 0 {
				t.Errorf("the same training, again, took %d fresh bytes", got)
			}
		})
	}
}
