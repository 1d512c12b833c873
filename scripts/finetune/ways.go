package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// way is a way to fine-tune.
type way struct {
	name   string
	change func(c *train.Config, parts [][]string) // parts are the blocks of each module of local learning
	turns  bool                                    // one module an epoch learns, with the classifier, by back-propagation
}

func ways() []way {
	local := func(name, init string, warmup float64) func(*train.Config, [][]string) {
		return func(c *train.Config, _ [][]string) {
			c.Method.Name, c.Method.Modules, c.Tune.HeadWarmup = name, *modules, warmup
			c.Tune.HeadInit = cmp.Or(init, *begin)
		}
	}
	return []way{
		{name: "frozen, probe", change: func(c *train.Config, _ [][]string) { c.Tune.Freeze, c.Tune.HeadInit = []string{"body"}, "probe" }},
		{name: "bp", change: func(*train.Config, [][]string) {}},
		{name: "layerwise", change: local("layerwise", "", 0)},
		{name: "layerwise, probe", change: local("layerwise", "probe", 0)},
		{name: "sgr", change: local("sgr", "", 0)},
		{name: "sgr, probe", change: local("sgr", "probe", 0)},
		{name: "last module only", change: func(c *train.Config, parts [][]string) {
			for _, blocks := range parts[:len(parts)-1] {
				c.Tune.Freeze = append(c.Tune.Freeze, blocks...)
			}
		}},
		{name: "block rotation", change: func(*train.Config, [][]string) {}, turns: true},
		{name: "layerwise, means", change: local("layerwise", "means", 0)},
		{name: "layerwise, warm-up", change: local("layerwise", "", 0.2)},
		{name: "layerwise, heads ×10", change: func(c *train.Config, parts [][]string) {
			local("layerwise", "", 0)(c, parts)
			c.Tune.HeadRate = 10
		}},
		{name: "bp, probe", change: func(c *train.Config, _ [][]string) { c.Tune.HeadInit = "probe" }},
		{name: "bp, checkpoints", change: func(c *train.Config, _ [][]string) { c.Method.Checkpoint = "blocks" }},
	}
}

// situation is a network that has learned the old classes, and new ones.
type situation struct {
	config      train.Config
	seed        int
	old, fresh  data.Source
	out, before string     // folders of the seed's runs, and of the training before
	start       string     // the weights of that
	parts       [][]string // the blocks of each module of local learning
	landed      []row      // done elsewhere
}

// result is what a way brought.
type result struct {
	accuracy, kept float64 // in percent
	peak           int64
	seconds        float64 // a step
	steps          int
}

// add counts a run, each of whose steps took so much.
func (r *result) add(s record.Summary, seconds float64) {
	r.accuracy, r.peak = s.TestAcc, max(r.peak, s.PeakBytes)
	r.seconds = (r.seconds*float64(r.steps) + seconds*float64(s.Steps)) / float64(r.steps+s.Steps)
	r.steps += s.Steps
}

func inputOf(info data.Info) model.Input {
	return model.Input{Shape: nn.Shape{C: info.Shape.C, H: info.Shape.H, W: info.Shape.W}, Classes: len(info.Classes), Mean: info.Mean, Std: info.Std}
}

// cut finds the blocks of the modules.
func (s *situation) cut() error {
	c := s.config
	c.Method.Name, c.Method.Modules, c.Tune.HeadInit = "layerwise", *modules, ""
	m, err := train.NewModel(c, inputOf(s.old.Info()), true)
	if err != nil {
		return err
	}
	defer m.Free()
	for _, module := range m.Modules() {
		s.parts = append(s.parts, module.Blocks)
	}
	return nil
}

// stage is a part of the training before.
type stage struct {
	config train.Config
	source data.Source
	out    string
	steps  int // negative: all epochs
}

// stages are those of the training before: at small images, where these are asked for, and at those of fine-tuning.
func (s *situation) stages() []stage {
	c := s.config
	c.Seed = 1
	if !*shared {
		c.Seed = uint64(s.seed)
	}
	c.Tune.HeadInit, c.Optim.Name = "", *firstOpt
	c.Optim.LR, c.Data.Batch, c.Schedule.Epochs = *firstRate, 64, *epochs
	if *small == 0 {
		return []stage{{c, s.old, filepath.Join(s.before, "before"), -1}}
	}
	later := c
	c.Schedule.Warmup = 0.2
	later.Optim.LR, later.Data.Batch = *firstRate/10, *batch
	return []stage{
		{c, sized(s.old, *small), filepath.Join(s.before, "before-small"), -1},
		{later, s.old, filepath.Join(s.before, "before"), *large},
	}
}

// prepare trains on the old classes, unless that is done, and finds the blocks of the modules. A second call does nothing.
func (s *situation) prepare(ctx context.Context) error {
	if s.parts != nil {
		return nil
	}
	if err := s.cut(); err != nil {
		return err
	}
	for _, stage := range s.stages() {
		o := train.Options{Out: stage.out, Steps: stage.steps, Init: s.start, Adopted: func(model.Adoption) {}}
		s.start = filepath.Join(stage.out, "last.safetensors")
		if finished(stage.out) {
			continue
		}
		summary, err := run(ctx, stage.config, stage.source, o)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "trained on the old classes: %.2f %% of them are right\n", summary.TestAcc)
	}
	return nil
}

// finished reports whether a run was trained to its end. One that was interrupted has a summary, too, which says so.
func finished(dir string) bool {
	var s record.Summary
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	return err == nil && json.Unmarshal(text, &s) == nil && s.Stopped == ""
}

// run trains by a recipe on a set, or goes on with what was killed.
func run(ctx context.Context, c train.Config, source data.Source, o train.Options) (s record.Summary, err error) {
	_, err = os.Stat(filepath.Join(o.Out, "last.safetensors"))
	o.Resume, o.Force = err == nil, err != nil
	m, err := train.NewModel(c, inputOf(source.Info()), false)
	if err != nil {
		return s, err
	}
	r, err := train.New(m.Model, source, c, o)
	if err != nil {
		return s, err
	}
	s, err = r.Train(ctx)
	if closing := r.Close(); err == nil {
		err = closing
	}
	return s, err
}

// stepTime returns the processor time of a step behind a warm-up of heads.
func stepTime(c train.Config, in model.Input) (seconds float64, err error) {
	m, err := train.NewModel(c, in, false)
	if err != nil {
		return 0, err
	}
	defer m.Free()
	defer torch.Pin()()
	const first = 2
	var began time.Duration
	for step := range first + *timed {
		if step == first {
			began = used()
		}
		s := torch.NewScopeOn(m.Device(), torch.NoGrad)
		noise := s.Full(torch.Float32, 0, int64(c.Data.Batch), int64(in.Shape.C), int64(in.Shape.H), int64(in.Shape.W))
		noise.Normal(0, 1, uint64(step))
		x, y := s.Cast(noise, m.DType).Keep(), s.FromInts(make([]int64, c.Data.Batch)).Keep()
		s.Close()
		if _, err := m.Learner.Step(x, y, local.Tick{Step: step, Done: 0.99, LR: 1e-6}); err != nil {
			return 0, err
		}
	}
	return (used() - began).Seconds() / float64(*timed), nil
}

// used is the process's time on processors.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // no such call fails for the process itself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// row fine-tunes in one way, unless that is done.
func (s *situation) row(ctx context.Context, a way) (row, error) {
	if r, found, err := s.done(a); found || err != nil {
		return r, err
	}
	if err := s.prepare(ctx); err != nil {
		return row{}, err
	}
	got, err := s.try(ctx, a)
	if err != nil {
		return row{}, err
	}
	r := row{Way: a.name, Seed: s.seed, Accuracy: got.accuracy, Kept: got.kept, PeakBytes: got.peak, SecondsPerStep: got.seconds, Steps: got.steps}
	return r, s.keep(a, r)
}

// try fine-tunes in one way.
func (s *situation) try(ctx context.Context, a way) (r result, err error) {
	c := s.config
	a.change(&c, s.parts)
	o := train.Options{Out: filepath.Join(s.out, folderOf(a)), Steps: -1, Init: s.start, Adopted: func(model.Adoption) {}}
	if a.turns {
		r, err = s.rotate(ctx, c, o)
		o.Out = turn(o.Out, *tuning-1)
	} else {
		err = s.tune(ctx, c, o, &r)
	}
	if err != nil {
		return r, err
	}
	r.kept, err = s.kept(ctx, filepath.Join(o.Out, "last.safetensors"))
	return r, err
}

// tune runs a recipe on the new classes, times its steps, and adds both to a result.
func (s *situation) tune(ctx context.Context, c train.Config, o train.Options, r *result) error {
	summary, err := run(ctx, c, s.fresh, o)
	if err != nil {
		return err
	}
	seconds, err := stepTime(c, inputOf(s.fresh.Info()))
	r.add(summary, seconds)
	return err
}

func turn(out string, epoch int) string { return fmt.Sprint(out, "-", epoch) }

// rotate lets one module an epoch learn, with the classifier: each epoch is a run that starts at the one before, on the same
// half wave of the rate.
func (s *situation) rotate(ctx context.Context, c train.Config, o train.Options) (r result, err error) {
	out := o.Out
	for epoch := range *tuning {
		o.Out = turn(out, epoch)
		if err := s.tune(ctx, s.turned(c, epoch), o, &r); err != nil {
			return r, err
		}
		o.Init = filepath.Join(o.Out, "last.safetensors")
	}
	return r, nil
}

// turned is the recipe of an epoch of block rotation.
func (s *situation) turned(c train.Config, epoch int) train.Config {
	c.Tune.Freeze = nil
	for k, blocks := range s.parts {
		if k != epoch%len(s.parts) {
			c.Tune.Freeze = append(c.Tune.Freeze, blocks...)
		}
	}
	c.Schedule.Name, c.Schedule.Epochs = "constant", 1
	c.Optim.LR = s.config.Optim.LR * (1 + math.Cos(math.Pi*(float64(epoch)+0.5)/float64(*tuning))) / 2
	c.Seed = s.config.Seed + uint64(epoch)*1000 // another order and other crops
	return c
}

// kept is how many of the old classes are still right where the old classifier stands on the body that was fine-tuned.
func (s *situation) kept(ctx context.Context, tuned string) (float64, error) {
	c := s.config
	c.Tune.HeadInit = ""
	m, err := train.NewModel(c, inputOf(s.old.Info()), true)
	if err != nil {
		return 0, err
	}
	defer m.Free()
	for path, params := range map[string][]*nn.Param{tuned: blocksOf(m), s.start: nn.Params(m.Net.Classifier)} {
		w, err := model.OpenWeights(path)
		if err != nil {
			return 0, err
		}
		err = w.Fill(params)
		w.Close()
		if err != nil {
			return 0, err
		}
	}
	all, err := train.Evaluate(ctx, m, s.old.Part(data.Test), s.old.Info().Mean, s.old.Info().Std)
	if err != nil {
		return 0, err
	}
	return all[len(all)-1].Top1, nil
}

func blocksOf(m *train.Model) (all []*nn.Param) {
	for _, b := range m.Net.Blocks {
		all = append(all, nn.Params(b.Layer)...)
	}
	return all
}
