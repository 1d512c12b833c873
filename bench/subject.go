package bench

import (
	"fmt"
	"time"

	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/torch"
)

// subject is one method under test.
type subject struct {
	model *model.Model
	step  int
	times []float64
}

// train takes a turn and returns its seconds a step. In lock-step a turn is one cycle of method.every, or a step in each
// phase of a method that trains its modules in turn, and random images are drawn while the clock stands still; in a pipeline it is so many steps that filling and draining weigh little, and
// images are drawn while modules work.
func (s *subject) train(o Options) (float64, error) {
	how := s.model.Spec.Method
	pipelined := how.Pipeline > 0
	cycles := s.model.Cycles()
	steps := max(1, how.Every, 8*how.Pipeline, cycles)
	var took time.Duration
	began := time.Now()
	for i := range steps {
		x, y := s.batch(o)
		if i == 0 || !pipelined {
			s.model.Device().Synchronize()
			began = time.Now()
		}
		if _, err := s.model.Learner.Step(x, y, local.Tick{Step: s.step, Done: float64(s.step%cycles) / float64(cycles), LR: o.LR / 100}); err != nil {
			return 0, s.failed(err)
		}
		if !pipelined {
			s.model.Device().Synchronize()
			took += time.Since(began)
		}
		s.step++
	}
	if _, err := s.model.Learner.Drain(); err != nil {
		return 0, s.failed(err)
	}
	if pipelined {
		s.model.Device().Synchronize()
		took = time.Since(began)
	}
	return took.Seconds() / float64(steps), nil
}

func (s *subject) failed(err error) error {
	return fmt.Errorf("bench: %s: %w", s.model.Spec.Method.Name, err)
}

// repeats is how often a device sees the same random images in a batch: they are drawn on the CPU, which would take longer
// than many a step.
const repeats = 16

// images returns n random images, which the scope owns.
func (s *subject) images(scope *torch.Scope, n int64, from uint64) torch.Tensor {
	in, drawn := s.model.Spec.Input.Shape, n
	if s.model.Device() != torch.CPU && n%repeats == 0 {
		drawn /= repeats
	}
	c, h, w := int64(in.C), int64(in.H), int64(in.W)
	x := scope.Full(torch.Float32, 0, drawn, c, h, w)
	x.Normal(0, 1, from)
	if drawn == n {
		return x
	}
	all := scope.Expand(scope.Reshape(x, 1, drawn, c, h, w), n/drawn, drawn, c, h, w)
	return scope.ChannelsLast(scope.Reshape(all, n, c, h, w))
}

// batch returns random images of a step, twice as many where the method learns from two views of each, and their labels.
func (s *subject) batch(o Options) (x, y torch.Tensor) {
	scope := s.model.Device().Scope(torch.NoGrad)
	defer scope.Close()
	in, root, n := s.model.Spec.Input, s.model.Spec.Seed, int64(o.Batch)
	x = s.images(scope, n*int64(s.model.Views()), seed.Derive(root, "bench/images", uint64(s.step)))
	if s.model.DType != torch.Float32 {
		x = scope.Cast(x, s.model.DType)
	}
	labels := make([]int64, n)
	random := seed.Rand(root, "bench/labels", uint64(s.step))
	for i := range labels {
		labels[i] = random.Int64N(int64(in.Classes))
	}
	return x.Keep(), scope.FromInts(labels).Keep()
}
