package local_test

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// poison makes the loss of a module NaN on batches of so many images: size → module.
type poison map[int]int

func (o poison) Loss(p *nn.Pass, m *local.Module, x torch.Tensor, in local.Signal) torch.Tensor {
	return scaled{o[int(in.Y.Shape()[0])], math.NaN()}.Loss(p, m, x, in)
}

// Batch 3 fails in module 2. The batches before it count, those behind it reach module 1 only.
func TestPipelineError(t *testing.T) {
	oneThread(t)
	const bad = 3
	size := func(step int) int {
		if step == bad {
			return batch - 1
		}
		return batch
	}
	build := func(o local.Objective) *local.Chain {
		c := chain(t, resnet, sgr("directional"), torch.Float32)
		c.Rule.Objective = o
		return c
	}
	c := build(poison{batch - 1: 2})
	want, wantErr := feed(c, 0, 12, size)
	for _, inFlight := range []int{1, 2, 5} {
		t.Run(fmt.Sprintf("in flight %d", inFlight), func(t *testing.T) {
			healthy := build(local.Classify{})
			if _, err := feed(healthy, 0, bad+inFlight, size); err != nil {
				t.Fatal(err)
			}
			goroutines := runtime.NumGoroutine()
			p := pipeline(t, build(poison{batch - 1: 2}), inFlight, 3)
			var got []local.Outcome
			nothingLeft(t, func() {
				var err error
				if got, err = feed(p, 0, 12, size); err == nil || err.Error() != wantErr.Error() {
					t.Errorf("error %v, want %v", err, wantErr)
				}
				noMore(t, goroutines)
				more, again := feed(p, 12, 14, nil)
				if _, drained := p.Drain(); again != err || drained != err || len(more) > 0 {
					t.Errorf("later %v, %v and %d outcomes, want the first error and none", again, drained, len(more))
				}
			})
			same(t, got, want[:bad], p.Modules()[1:], c.Modules()[1:])
			same(t, nil, nil, p.Modules()[:1], healthy.Modules()[:1])
		})
	}
}

// Batch 4 fails at once, in module 1; batch 3 fails later, in module 3. Lock-step would never have come to batch 4.
func TestPipelineReturnsTheEarliestBatchsError(t *testing.T) {
	c := chain(t, resnet, sgr("directional"), torch.Float32)
	c.Rule.Objective = poison{batch - 1: 3, batch - 2: 1}
	p := pipeline(t, c, 5, 3)
	nothingLeft(t, func() {
		left, err := feed(p, 0, 9, func(step int) int { return batch - max(0, min(step, 4)-2) })
		var d *local.Diverged
		if !errors.As(err, &d) || d.Module != 3 || d.Step != 3 || len(left) != 3 {
			t.Errorf("error %v after %d batches, want one of module 3 after 3", err, len(left))
		}
	})
}

func TestPipelineReturnsTheEnginesError(t *testing.T) {
	p := pipeline(t, chain(t, resnet, sgr("directional"), torch.Float32), 2, 3)
	nothingLeft(t, func() {
		x, y := randomBatch(torch.Float32, 1)
		y.Free()
		s := torch.NewScope(torch.NoGrad)
		if _, err := p.Step(x, s.FromInts([]int64{0, 1}).Keep(), local.Tick{LR: 0.1}); err != nil {
			t.Error(err)
		}
		var refused *torch.Error
		if _, err := p.Drain(); !errors.As(err, &refused) {
			t.Errorf("error %v, want the engine's", err)
		}
	})
}
