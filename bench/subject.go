package bench

import (
	"fmt"
	"os"
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/store"
	"github.com/locus-learn/locus/torch"
)

// subject is one method under test.
type subject struct {
	model *model.Model
	step  int
	times []float64
	files *store.Disk  // where modules wait that are not in memory; nil where all are, or in the host's memory
	queue *store.Queue // where signals wait; nil where that is in memory
	dir   string       // of the files
}

// newSubject builds a model that is ready to train. Modules that are not in memory wait in a folder of its own.
func newSubject(spec model.Spec) (s *subject, err error) {
	s = &subject{}
	if s.model, err = model.New(spec); err != nil || !s.model.Streams() {
		return s, err
	}
	var kept local.Store
	if spill := spec.Method.Spill; spill == "memory" {
		kept = store.NewMemory(len(s.model.Modules()))
		if spec.Method.Signals == "spill" {
			s.model.Chain.Queue = store.NewHostQueue(s.model.Device())
		}
	} else {
		if s.dir, err = os.MkdirTemp(spill, "locus-bench-"); err != nil {
			s.free()
			return nil, fault.New("method.spill is %q: %w; must be a folder that can be written to, empty for $TMPDIR, or memory", spill, err)
		}
		s.files = store.NewDisk(s.dir)
		kept = s.files
		if spec.Method.Signals == "spill" {
			s.queue = store.NewQueue(s.dir, s.model.Device())
			s.model.Chain.Queue = s.queue
		}
	}
	if err := s.model.Begin(kept, func(*local.Module) error { return nil }); err != nil {
		s.free()
		return nil, err
	}
	return s, nil
}

// free releases the model and what it keeps in files.
func (s *subject) free() {
	s.model.Free()
	if s.queue != nil {
		s.queue.Close()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// traffic is what has been read and written so far.
func (s *subject) traffic() (read, written int64) {
	if s.files == nil {
		return 0, 0
	}
	read, written = s.files.Traffic()
	if s.queue != nil {
		in, out := s.queue.Traffic()
		read, written = read+in, written+out
	}
	return read, written
}

// turn is the number of steps in a turn: see train.
func (s *subject) turn() int {
	how, visit := s.model.Spec.Method, 1
	if s.model.Streams() {
		visit = how.Visit
	}
	return max(1, how.Every, 8*how.Pipeline, s.model.Cycles(), visit)
}

// train takes a turn and returns its seconds a step. In lock-step a turn is one cycle of method.every, or a step in each
// phase of a method that trains its modules in turn, or a visit where modules come and go, and random images are drawn while the clock stands still; in a pipeline it is so many steps that filling and draining weigh little, and
// images are drawn while modules work.
func (s *subject) train(o Options) (float64, error) {
	how := s.model.Spec.Method
	pipelined := how.Pipeline > 0
	cycles, steps := s.model.Cycles(), s.turn()
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
	drained := time.Now()
	if _, err := s.model.Learner.Drain(); err != nil {
		return 0, s.failed(err)
	}
	s.model.Device().Synchronize()
	switch {
	case pipelined:
		took = time.Since(began)
	case s.model.Streams(): // the last module is still being saved
		took += time.Since(drained)
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
	if s.model.Rule.MultiLabel {
		return x.Keep(), s.model.Rule.Blank(scope, o.Batch, in.Classes).Keep()
	}
	labels := make([]int64, n)
	random := seed.Rand(root, "bench/labels", uint64(s.step))
	for i := range labels {
		labels[i] = random.Int64N(int64(in.Classes))
	}
	return x.Keep(), scope.FromInts(labels).Keep()
}
