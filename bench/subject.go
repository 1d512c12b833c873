package bench

import (
	"fmt"
	"time"

	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// subject is one method under test.
type subject struct {
	model *train.Model
	step  int
	times []float64
}

// train takes a turn and returns its seconds a step. In lock-step a turn is one cycle of method.every, or a step in each
// phase of a method that trains its modules in turn, and random images are drawn while the clock stands still; in a pipeline it is so many steps that filling and draining weigh little, and
// images are drawn while modules work.
func (s *subject) train(c train.Config, o Options) (float64, error) {
	pipelined := c.Method.Pipeline > 0
	cycles := s.model.Cycles
	steps := max(1, c.Method.Every, 8*c.Method.Pipeline, cycles)
	var took time.Duration
	began := time.Now()
	for i := range steps {
		x, y := batch(c, o, s.step, s.model.Views)
		if i == 0 || !pipelined {
			began = time.Now()
		}
		if _, err := s.model.Learner.Step(x, y, local.Tick{Step: s.step, Done: float64(s.step%cycles) / float64(cycles), LR: c.Optim.LR / 100}); err != nil {
			return 0, s.failed(err)
		}
		if !pipelined {
			took += time.Since(began)
		}
		s.step++
	}
	if _, err := s.model.Learner.Drain(); err != nil {
		return 0, s.failed(err)
	}
	if pipelined {
		took = time.Since(began)
	}
	return took.Seconds() / float64(steps), nil
}

func (s *subject) failed(err error) error {
	return fmt.Errorf("bench: %s: %w", s.model.Config.Method.Name, err)
}

// batch returns random images, twice as many where the method learns from two views of each, and their labels.
func batch(c train.Config, o Options, step, views int) (x, y torch.Tensor) {
	scope := torch.NewScope(torch.NoGrad)
	defer scope.Close()
	n := int64(c.Data.Batch)
	x = scope.Full(torch.Float32, 0, n*int64(max(1, views)), 3, int64(o.Image), int64(o.Image))
	x.Normal(0, 1, seed.Derive(c.Seed, "bench/images", uint64(step)))
	if c.Precision == "bf16" {
		x = scope.Cast(x, torch.BFloat16)
	}
	labels := make([]int64, n)
	random := seed.Rand(c.Seed, "bench/labels", uint64(step))
	for i := range labels {
		labels[i] = random.Int64N(int64(o.Classes))
	}
	return x.Keep(), scope.FromInts(labels).Keep()
}
