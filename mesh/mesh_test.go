package mesh_test

import (
	"errors"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/mesh"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
	"github.com/locus-learn/locus/zoo"
)

const (
	side    = 16
	classes = 4
	samples = 8
	steps   = 5
)

var nets = []zoo.Options{
	{Name: "resnet32", Depth: 8, Width: 4}, {Name: "plain7", Width: 8}, {Name: "mlp", Depth: 3, Width: 24},
}

// build makes a small model that a method trains.
func build(t testing.TB, o method.Options, change func(*model.Spec)) *model.Model {
	t.Helper()
	spec := model.Defaults()
	spec.Seed, spec.Threads, spec.Method = 3, 1, o
	spec.Input = model.Input{
		Shape: nn.Shape{C: 3, H: side, W: side}, Classes: classes,
		Mean: []float64{0.5, 0.5, 0.5}, Std: []float64{0.25, 0.25, 0.25},
	}
	spec.Head.Width, spec.Head.Widths = 8, []int{24, 32, 32}
	spec.Optim = optim.Options{Name: "sgd", Momentum: 0.9, WeightDecay: 5e-4, EMA: 0.9}
	if change != nil {
		change(&spec)
	}
	var err error
	for _, net := range nets {
		if change == nil {
			spec.Net = net
		}
		var m *model.Model
		if m, err = model.New(spec); err == nil {
			t.Cleanup(m.Free)
			return m
		}
	}
	t.Fatal(err)
	return nil
}

// batchOf returns a batch, or a part of it; views says how many of each sample.
func batchOf(step, part, parts, views int) (x, y torch.Tensor) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	all := s.Full(torch.Float32, 0, int64(samples*views), 3, side, side)
	all.Normal(0, 1, uint64(step))
	labels := make([]int64, samples)
	for i := range labels {
		labels[i] = int64((i*7 + step) % classes)
	}
	n := int64(samples / parts)
	at := int64(part) * n
	first := s.Clone(s.Narrow(all, 0, at, n))
	if views > 1 {
		first = s.Cat(first, s.Narrow(all, 0, samples+at, n), 0)
	}
	return s.ChannelsLast(first).Keep(), s.FromInts(labels[at : at+n]).Keep()
}

// train takes some steps, drains and returns what was told, times taken out.
func train(l local.Learner, from, to, parts, views int) (left []local.Outcome, err error) {
	for step := from; step < to && err == nil; step++ {
		if lead, ok := l.(*mesh.Leader); ok {
			lead.Next(0, step)
		}
		x, y := batchOf(step, 0, parts, views)
		var some []local.Outcome
		some, err = l.Step(x, y, local.Tick{Step: step, Done: float64(step) / 10, LR: 0.05 / float64(step+1)})
		left = append(left, some...)
	}
	rest, failed := l.Drain()
	left = append(left, rest...)
	for _, o := range left {
		for k := range o.Stats {
			o.Stats[k].Busy, o.Stats[k].Wait = 0, 0
		}
	}
	if err == nil {
		err = failed
	}
	return left, err
}

// weights copies what modules hold: those of this rank, and of others as they are fetched.
func weights(t *testing.T, m *model.Model, lead *mesh.Leader) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, module := range m.Modules() {
		for _, p := range module.Params {
			if !module.Away() {
				all[p.Name] = p.Value.Data()
				continue
			}
			away, ok := lead.Param(p.Name)
			if !ok {
				t.Fatalf("nobody has %s", p.Name)
			}
			b, err := lead.Fetch(away)
			if err != nil {
				t.Fatal(err)
			}
			all[p.Name] = b
		}
		if !module.Away() {
			for _, s := range module.Optim.State() {
				all[s.Name] = s.Value.Data()
			}
		}
	}
	if lead != nil {
		for _, a := range lead.States() {
			b, err := lead.Fetch(a)
			if err != nil {
				t.Fatal(err)
			}
			all[a.Name] = b
		}
	}
	return all
}

// lead runs f on rank 0 of worlds whose other ranks follow. It returns the errors of the followers.
func lead(t *testing.T, worlds []*mesh.World, start func() *model.Model, views int, f func(m *model.Model, l *mesh.Leader)) []error {
	t.Helper()
	models := []*model.Model{}
	for range worlds {
		models = append(models, start())
	}
	var resting []int64 // of each module
	for _, m := range models[0].Modules() {
		resting = append(resting, m.RestingBytes())
	}
	errs := make([]error, len(worlds))
	var all sync.WaitGroup
	for rank, w := range worlds[1:] {
		all.Go(func() {
			defer torch.Pin()()
			part, parts := w.Part()
			if part > 0 {
				models[rank+1].Chain.Rule.Seed += uint64(part)
			}
			errs[rank+1] = mesh.Follow(w, models[rank+1].Chain, func(_, batch int) (x, y torch.Tensor, err error) {
				x, y = batchOf(batch, part, parts, views)
				return x, y, nil
			})
			if errs[rank+1] == nil {
				_, errs[rank+1] = w.Ending()
			}
			w.Close(errs[rank+1], 0)
		})
	}
	l, err := mesh.Lead(worlds[0], models[0].Chain, 0)
	if err != nil {
		t.Fatal(err)
	}
	models[0].Learner = l
	f(models[0], l)
	_, cause := l.Drain()
	l.Close()
	worlds[0].Close(cause, 2)
	all.Wait()
	for rank, w := range worlds {
		from, end := w.Run(rank%w.Modules, len(resting))
		for k, m := range models[rank].Modules() {
			want := resting[k]
			if k < from || k >= end {
				want = 0
			}
			if got := m.RestingBytes(); got != want {
				t.Errorf("rank %d of %v holds %d bytes of module %d at rest, want %d", rank, w.Shape, got, k+1, want)
			}
		}
	}
	return errs
}

// overNCCL makes worlds over a library that stands in for NCCL.
func overNCCL(t *testing.T, shape mesh.Shape, o mesh.Options) []*mesh.World {
	library := filepath.Join(t.TempDir(), "nccl.so")
	args := []string{"-std=c++20", "-O1", "-fPIC", "-shared", "-o", library, "../torch/dist/testdata/nccl.cpp"}
	if text, err := exec.Command("g++", args...).CombinedOutput(); err != nil {
		t.Fatalf("g++: %v\n%s", err, text)
	}
	t.Setenv(dist.EnvNCCL, library)
	t.Setenv("STANDIN_FOLDER", filepath.Dir(library))
	o.Engine = "nccl"
	return overGloo(t, shape, o)
}

// overGloo makes worlds over Gloo whose processes are goroutines.
func overGloo(t *testing.T, shape mesh.Shape, o mesh.Options) []*mesh.World {
	if !dist.HasGloo() {
		t.Skip("built without Gloo")
	}
	n := shape.Data * shape.Modules
	socket := filepath.Join(t.TempDir(), "s")
	worlds := make([]*mesh.World, n)
	var all sync.WaitGroup
	errs := make([]error, n)
	for rank := range n {
		all.Go(func() {
			worlds[rank], errs[rank] = mesh.Join(mesh.Place{Rank: rank, World: n, LocalRank: rank, LocalWorld: n, Path: socket, Secret: "s"}, o, torch.CPU)
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return worlds
}

func options(s mesh.Shape) mesh.Options {
	return mesh.Options{Data: s.Data, Modules: s.Modules, Timeout: 20, Link: "same"}
}

func oneThread(t *testing.T) {
	unpin := torch.Pin()
	torch.SetThreads(1)
	t.Cleanup(func() {
		torch.SetThreads(0)
		unpin()
	})
}

// Module parallel is lock-step, bit for bit: outcomes, scores, weights and the optimizers' state of every method that a pipeline
// can train, on two and three ranks.
func TestModuleParallelIsLockStepBitForBit(t *testing.T) {
	oneThread(t)
	for _, how := range method.All() {
		if how.Claims.Locking == method.Inside || how.Cut == method.Nowhere {
			continue
		}
		o := method.Options{Name: how.Name, Modules: 4, Lambda: 5, Reduction: "batch", Normalize: true, Noise: 0.1, Redundancy: 0.005, Feedback: 1}
		one := build(t, o, nil)
		views := one.Views()
		want, err := train(one.Learner, 0, steps, 1, views)
		if err != nil {
			t.Fatal(how.Name, err)
		}
		kept := weights(t, one, nil)
		for _, m := range []int{2, 3} {
			kinds := map[string]func(*testing.T, mesh.Shape, mesh.Options) []*mesh.World{
				"twins": func(_ *testing.T, s mesh.Shape, o mesh.Options) []*mesh.World { return mesh.Twins(s, o) },
			}
			if how.Name == "sgr" || m == 2 {
				kinds["gloo"] = overGloo
			}
			if how.Name == "sgr" && m == 3 {
				kinds["nccl"] = overNCCL
			}
			for kind, worlds := range kinds {
				t.Run(fmt.Sprint(how.Name, kind, m), func(t *testing.T) {
					shape := mesh.Shape{Data: 1, Modules: m}
					errs := lead(t, worlds(t, shape, options(shape)), func() *model.Model { return build(t, o, nil) }, views, func(m *model.Model, l *mesh.Leader) {
						got, err := train(l, 0, steps, 1, views)
						if err != nil {
							t.Fatal(err)
						}
						if fmt.Sprint(got) != fmt.Sprint(want) {
							t.Errorf("outcomes\n%v, want\n%v", got, want)
						}
						if !reflect.DeepEqual(weights(t, m, l), kept) {
							t.Error("weights or states differ")
						}
						if views > 1 {
							return
						}
						x, y := batchOf(99, 0, 1, 1)
						a, err := l.Evaluate(x, y)
						x, y = batchOf(99, 0, 1, 1)
						b, other := one.Learner.Evaluate(x, y)
						if err != nil || other != nil || fmt.Sprint(a) != fmt.Sprint(b) {
							t.Errorf("scores %v (%v), want %v (%v)", a, err, b, other)
						}
					})
					if err := errors.Join(errs...); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

// Copies of a network of runs of modules learn what one network learns on the whole batch, to rounding, and the same bits in
// every run: without batch normalisation, and where that takes the statistics of the whole batch.
func TestGridLearnsAsOne(t *testing.T) {
	oneThread(t)
	for name, net := range map[string]zoo.Options{"plain": nets[2], "norms": nets[0]} {
		for _, shape := range []mesh.Shape{{Data: 2, Modules: 1}, {Data: 2, Modules: 2}, {Data: 4, Modules: 3}} {
			t.Run(fmt.Sprint(name, shape), func(t *testing.T) {
				o := options(shape)
				o.SyncNorm = name == "norms"
				within := 1e-5
				if o.SyncNorm { // rounding turns a ReLU now and then; package local shows the same in float64, within 1e-5
					within = 1e-3
				}
				gridLearnsAsOne(t, shape, o, within, func() *model.Model {
					return build(t, method.Options{Name: "sgr", Modules: 3, Lambda: 5, Reduction: "batch", Normalize: true, Gradient: "directional"}, func(s *model.Spec) {
						if s.Net = net; net.Name == "mlp" {
							s.Head.Name = "linear"
						}
					})
				})
			})
		}
	}
}

func gridLearnsAsOne(t *testing.T, shape mesh.Shape, o mesh.Options, within float64, start func() *model.Model) {
	one := start()
	want, err := train(one.Learner, 0, steps, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	var first map[string][]byte
	for round, worlds := range []func() []*mesh.World{
		func() []*mesh.World { return mesh.Twins(shape, o) },
		func() []*mesh.World { return mesh.Twins(shape, o) },
		func() []*mesh.World { return overGloo(t, shape, o) },
		func() []*mesh.World { return overNCCL(t, shape, o) },
	} {
		if round >= 2 && shape.Data > 2 {
			continue
		}
		errs := lead(t, worlds(), start, 1, func(m *model.Model, l *mesh.Leader) {
			got, err := train(l, 0, steps, shape.Data, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d steps told, want %d", len(got), len(want))
			}
			for i := range got {
				for k, s := range got[i].Stats {
					if w := want[i].Stats[k]; math.Abs(s.Loss-w.Loss) > within*math.Abs(w.Loss) {
						t.Errorf("step %d, module %d: loss %v, want %v", i, k+1, s.Loss, w.Loss)
					}
				}
			}
			now := weights(t, m, l)
			switch {
			case first == nil:
				first = now
			case !reflect.DeepEqual(now, first):
				t.Errorf("round %d has other bits", round)
			}
		})
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	}
}

// What copies add up is predicted: a bucket a module and, where batch statistics are those of the whole batch, two sums a
// channel and pass, forward and backward, and three numbers for each difference of gradients.
func TestSumsAreAsPredicted(t *testing.T) {
	oneThread(t)
	shape := mesh.Shape{Data: 2, Modules: 1}
	for _, sync := range []bool{false, true} {
		for _, name := range []string{"layerwise", "sgr"} {
			start := func() *model.Model {
				return build(t, method.Options{Name: name, Modules: 3, Lambda: 5, Reduction: "batch", Normalize: true, Gradient: "directional"}, nil)
			}
			o := options(shape)
			o.SyncNorm = sync
			worlds := mesh.Twins(shape, o)
			lead(t, worlds, start, 1, func(m *model.Model, l *mesh.Leader) {
				before := worlds[0].Traffic().Summed
				if _, err := train(l, 0, steps, shape.Data, 1); err != nil {
					t.Fatal(err)
				}
				want := int64(0)
				for _, module := range m.Modules() {
					passes, numbers := int64(1), int64(0)
					if name == "sgr" && module.Index > 1 {
						passes, numbers = 2, 3
					}
					if want += module.BucketBytes() + 8*numbers; !sync {
						continue
					}
					for _, p := range module.Params {
						if strings.HasSuffix(p.Name, "running_mean") {
							want += passes * 2 * 2 * 8 * p.Value.Numel()
						}
					}
				}
				if got := worlds[0].Traffic().Summed - before; got != steps*want {
					t.Errorf("%s, sync_norm %v: %d bytes in %d steps, want %d each", name, sync, got, steps, want)
				}
			})
		}
	}
}

// A step takes the bytes on the wire that were predicted, and a rank holds its own modules only.
func TestTrafficAndMemoryAreAsPredicted(t *testing.T) {
	oneThread(t)
	shape := mesh.Shape{Data: 1, Modules: 3}
	o := method.Options{Name: "sgr", Modules: 3, Lambda: 5, Reduction: "batch", Normalize: true}
	one := build(t, o, nil)
	for kind, worlds := range map[string][]*mesh.World{
		"twins": mesh.Twins(shape, options(shape)), "gloo": overGloo(t, shape, options(shape)), "nccl": overNCCL(t, shape, options(shape)),
	} {
		lead(t, worlds, func() *model.Model { return build(t, o, nil) }, 1, func(m *model.Model, l *mesh.Leader) {
			settle := func() {
				if _, err := train(l, 0, 0, 1, 1); err != nil {
					t.Fatal(err)
				}
			}
			settle()
			before := arrived(worlds[0])
			if _, err := train(l, 0, steps, 1, 1); err != nil {
				t.Fatal(err)
			}
			after := arrived(worlds[0])
			settle()
			drain := arrived(worlds[0])
			// x₁ and δ of 8 samples, labels; a header of eight and one bytes, six tensors, and what the first module has found
			features := int64(samples) * int64(m.Net.Blocks[0].Out.C) * side * side * 4
			sent := 2*(features+2+16*4) + (8*samples + 2 + 16) + 3 + 8 + 1 + mesh.HeadBytes(1)
			got := after.Sent - before.Sent - (drain.Sent - after.Sent)
			if cut := m.Cuts()[0]; cut != m.Net.Blocks[0].Name {
				t.Logf("the first cut is behind %s", cut)
			}
			if got != steps*predicted(m, sent) {
				t.Errorf("%s: %d bytes sent in %d steps, want %d each", kind, got, steps, predicted(m, sent))
			}
			// outcomes of three modules come back
			back := 8 + 1 + mesh.HeadBytes(3)
			if got := after.Received - before.Received - (drain.Received - after.Received); got != steps*back {
				t.Errorf("%s: %d bytes received, want %d", kind, got, steps*back)
			}
			if m.RestingBytes() != one.Modules()[0].RestingBytes() {
				t.Errorf("%s: rank 0 holds %d bytes at rest, its module needs %d", kind, m.RestingBytes(), one.Modules()[0].RestingBytes())
			}
		})
	}
}

// A link in bfloat16 carries half of the bytes of features and gradients. What the module in front learns is the same to the
// bit; what is behind sees features that are off by a half of bfloat16's last bit.
func TestLinkInBFloat16(t *testing.T) {
	oneThread(t)
	shape := mesh.Shape{Data: 1, Modules: 2}
	how := method.Options{Name: "sgr", Modules: 2, Lambda: 5, Reduction: "batch", Normalize: true}
	type found struct {
		sent int64
		left []local.Outcome
	}
	try := func(link string) (f found) {
		o := options(shape)
		o.Link = link
		worlds := mesh.Twins(shape, o)
		errs := lead(t, worlds, func() *model.Model { return build(t, how, nil) }, 1, func(m *model.Model, l *mesh.Leader) {
			before := arrived(worlds[0])
			var err error
			if f.left, err = train(l, 0, steps, 1, 1); err != nil {
				t.Fatal(err)
			}
			f.sent = arrived(worlds[0]).Sent - before.Sent
		})
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		return f
	}
	full, half := try("same"), try("bf16")
	m := build(t, how, nil)
	var features int64
	for _, b := range m.Net.Blocks {
		if b.Name == m.Cuts()[0] {
			features = int64(samples * b.Out.C * b.Out.H * b.Out.W)
		}
	}
	if saved := full.sent - half.sent; saved != steps*2*2*features { // two bytes an element of x₁ and of δ
		t.Errorf("%d bytes saved in %d steps, want %d", saved, steps, steps*2*2*features)
	}
	for i, o := range half.left {
		first, want := o.Stats[0].Loss, full.left[i].Stats[0].Loss
		behind, near := o.Stats[1].Loss, full.left[i].Stats[1].Loss
		if first != want || behind == near || math.Abs(behind-near) > near/256 {
			t.Errorf("step %d: losses %v and %v, want %v and about %v", i, first, behind, want, near)
		}
	}
}

// arrived is the traffic of a rank once nothing is on its way any more: credits come back when they come.
func arrived(w *mesh.World) dist.Traffic {
	last := w.Traffic()
	for quiet := 0; quiet < 20; quiet++ {
		time.Sleep(5 * time.Millisecond)
		if now := w.Traffic(); now != last {
			last, quiet = now, 0
		}
	}
	return last
}

// predicted replaces the features in front by those at the first cut.
func predicted(m *model.Model, first int64) int64 {
	out := m.Net.Blocks[0].Out
	for _, b := range m.Net.Blocks {
		if b.Name == m.Cuts()[0] {
			out = b.Out
		}
	}
	was := m.Net.Blocks[0].Out
	return first + 2*4*int64(samples)*(int64(out.C*out.H*out.W)-int64(was.C)*side*side)
}

// A rank that diverges ends the run on all ranks with the same error.
func TestDivergenceIsToldToAll(t *testing.T) {
	oneThread(t)
	for _, shape := range []mesh.Shape{{Data: 1, Modules: 3}, {Data: 2, Modules: 2}, {Data: 2, Modules: 1}} {
		worlds := mesh.Twins(shape, options(shape))
		errs := lead(t, worlds, func() *model.Model {
			return build(t, method.Options{Name: "layerwise", Modules: 3}, nil)
		}, 1, func(m *model.Model, l *mesh.Leader) {
			x, y := batchOf(0, 0, shape.Data, 1)
			if _, err := l.Step(x, y, local.Tick{Step: 0, LR: 1e30}); err != nil {
				t.Fatal(err)
			}
			_, err := train(l, 1, 8, shape.Data, 1)
			var d *local.Diverged
			if !errors.As(err, &d) {
				t.Errorf("%v: error %v, want a diverged module", shape, err)
			}
		})
		for rank, err := range errs[1:] {
			if !fault.Is(err) || !strings.Contains(err.Error(), "at step") {
				t.Errorf("%v: rank %d was told %v", shape, rank+1, err)
			}
		}
	}
}

// A rank that falls silent, or is gone, ends the run on all others, with a line that names it.
func TestLostRankIsNamed(t *testing.T) {
	oneThread(t)
	shape := mesh.Shape{Data: 1, Modules: 3}
	o := options(shape)
	o.Timeout = 20
	worlds := overGloo(t, shape, o)
	var all sync.WaitGroup
	errs := make([]error, 3)
	for rank := 1; rank < 3; rank++ {
		all.Go(func() {
			defer torch.Pin()()
			if rank == 2 {
				time.Sleep(200 * time.Millisecond)
				worlds[2].Abandon()
				return
			}
			errs[rank] = mesh.Follow(worlds[rank], build(t, method.Options{Name: "layerwise", Modules: 3}, nil).Chain, nil)
		})
	}
	began := time.Now()
	_, errs[0] = mesh.Lead(worlds[0], build(t, method.Options{Name: "layerwise", Modules: 3}, nil).Chain, 0)
	all.Wait()
	for rank := range 2 {
		if errs[rank] == nil || !strings.Contains(errs[rank].Error(), "rank 2 on ") {
			t.Errorf("rank %d: %v, want rank 2 to be named", rank, errs[rank])
		}
	}
	if spent := time.Since(began); spent > 10*time.Second {
		t.Errorf("it took %v", spent)
	}
}
