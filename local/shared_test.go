package local_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
	"github.com/locus-learn/locus/zoo"
)

// copies trains one chain a rank, on equal parts of each batch, and returns their modules and what left rank 0. spoil, unless
// nil, changes a rank's images.
func copies(t *testing.T, ranks, steps int, whole bool, build func() *local.Chain, spoil func(rank, step int, x torch.Tensor)) ([][]*local.Module, []local.Outcome, []error) {
	t.Helper()
	groups := dist.Twins(ranks)
	chains := make([]*local.Chain, ranks)
	for r := range chains {
		chains[r] = build()
		for _, m := range chains[r].Modules() {
			m.Share(groups[r], whole)
		}
	}
	var all sync.WaitGroup
	left, errs := make([][]local.Outcome, ranks), make([]error, ranks)
	for r := range chains {
		all.Go(func() {
			defer torch.Pin()()
			left[r], errs[r] = parts(chains[r], r, ranks, steps, spoil)
		})
	}
	all.Wait()
	var modules [][]*local.Module
	for _, c := range chains {
		modules = append(modules, c.Modules())
	}
	for r := range left {
		if fmt.Sprint(left[r]) != fmt.Sprint(left[0]) {
			t.Errorf("rank %d tells other numbers than rank 0", r)
		}
	}
	return modules, left[0], errs
}

// parts trains on a rank's part of each of feed's batches.
func parts(l *local.Chain, rank, ranks, steps int, spoil func(rank, step int, x torch.Tensor)) (left []local.Outcome, err error) {
	tell := func(some []local.Outcome) {
		for _, o := range some {
			for k := range o.Stats {
				o.Stats[k].Busy = 0
			}
		}
		left = append(left, some...)
	}
	for step := 0; step < steps && err == nil; step++ {
		s := torch.NewScope(torch.NoGrad)
		x, y := randomBatch(l.DType, uint64(step))
		s.Adopt(x)
		s.Adopt(y)
		n := int64(batch / ranks)
		part, labels := s.Clone(s.Narrow(x, 0, int64(rank)*n, n)), s.Clone(s.Narrow(y, 0, int64(rank)*n, n))
		if spoil != nil {
			spoil(rank, step, part)
		}
		var some []local.Outcome
		some, err = l.Step(part.Keep(), labels.Keep(), local.Tick{Step: step, Done: float64(step) / 50, LR: 0.1 / float64(step+1)})
		tell(some)
		s.Close()
	}
	some, rest := l.Drain()
	tell(some)
	return left, errors.Join(err, rest)
}

// Copies on parts of the batch learn what one network learns on all of it, for every way in which the reconciliation weighs
// gradients and finds them: without batch normalisation, and where it takes the statistics of the whole batch. A difference
// of gradients shows that in float64. In float32 it is off by more than anything that copies do to it: 1e-7 of a gradient,
// over a step of 1e-3. So does a double backward with normalisation, where a unit's gate may hang on the last bit.
func TestCopiesLearnAsOne(t *testing.T) {
	oneThread(t)
	plain := func(gradient string, change func(*method.Options)) method.Options {
		o := sgr(gradient)
		if change != nil {
			change(&o)
		}
		return o
	}
	for name, tt := range map[string]struct {
		net zoo.Options
		o   method.Options
	}{
		"layerwise":          {mlp, method.Options{Name: "layerwise", Modules: 3}},
		"bp":                 {mlp, method.Options{Name: "bp", Modules: 1}},
		"batch":              {mlp, plain("double", nil)},
		"mean":               {mlp, plain("double", func(o *method.Options) { o.Reduction, o.Lambda = "mean", 40 })},
		"sum":                {mlp, plain("double", func(o *method.Options) { o.Reduction, o.Lambda = "sum", 0.5 })},
		"raw":                {mlp, plain("double", func(o *method.Options) { o.Normalize, o.Lambda = false, 100 })},
		"raw sum":            {mlp, plain("double", func(o *method.Options) { o.Normalize, o.Reduction, o.Lambda = false, "sum", 10 })},
		"directional":        {mlp, plain("directional", nil)},
		"norms, layerwise":   {resnet, method.Options{Name: "layerwise", Modules: 3}},
		"norms, bp":          {resnet, method.Options{Name: "bp", Modules: 1}},
		"norms, checkpoints": {resnet, method.Options{Name: "layerwise", Modules: 2, Checkpoint: "blocks"}},
		"norms, double":      {resnet, plain("double", nil)},
		"norms, tangent":     {resnet, plain("tangent", nil)},
		"shifted":            {mlp, plain("shifted", func(o *method.Options) { o.Lambda = 1e-3 })},
		"norms, shifted":     {resnet, plain("shifted", func(o *method.Options) { o.Lambda = 1e-3 })},
		"norms, directional": {resnet, plain("directional", nil)},
	} {
		for _, ranks := range []int{2, 4} {
			if ranks > 2 && tt.net.Name != mlp.Name {
				continue
			}
			t.Run(fmt.Sprint(name, ranks), func(t *testing.T) {
				// In float32, rounding turns a ReLU now and then, and what an update is made of by differences shows it.
				dtype := torch.Float32
				if tt.o.Gradient == "directional" || tt.net.Name != mlp.Name && tt.o.Name == "sgr" {
					dtype = torch.Float64
				}
				learnAsOne(t, ranks, func() *local.Chain { return chain(t, tt.net, tt.o, dtype) })
			})
		}
	}
}

// learnAsOne trains copies of a chain, and one, for fifty steps.
func learnAsOne(t *testing.T, ranks int, build func() *local.Chain) {
	one := build()
	want, err := feedSteps(one, 50)
	if err != nil {
		t.Fatal(err)
	}
	all, left, errs := copies(t, ranks, 50, true, build, nil)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for k, m := range one.Modules() {
		for i, p := range m.Params {
			if e := relative(all[0][k].Params[i].Value.Float64s(), p.Value.Float64s()); e > 1e-5 {
				t.Errorf("%s is %g off", p.Name, e)
			}
		}
	}
	for r := 1; r < ranks; r++ {
		if !reflect.DeepEqual(stateOf(all[r]...), stateOf(all[0]...)) || !reflect.DeepEqual(momentum(all[r]), momentum(all[0])) {
			t.Errorf("copy %d is not copy 0", r)
		}
	}
	for i, o := range left {
		for k, s := range o.Stats {
			w := want[i].Stats[k]
			if math.Abs(s.Loss-w.Loss) > 1e-5*math.Abs(w.Loss) || math.Abs(s.SGR-w.SGR) > 1e-4*math.Abs(w.SGR) {
				t.Fatalf("step %d, module %d: loss %v S %v, want %v and %v", i, k+1, s.Loss, s.SGR, w.Loss, w.SGR)
			}
		}
	}
}

func feedSteps(l *local.Chain, steps int) ([]local.Outcome, error) {
	return parts(l, 0, 1, steps, nil)
}

// relative returns ‖a − b‖/‖b‖.
func relative(a, b []float64) float64 {
	var d, n float64
	for i := range a {
		d, n = d+(a[i]-b[i])*(a[i]-b[i]), n+b[i]*b[i]
	}
	return math.Sqrt(d / max(n, 1e-30))
}

// With batch normalisation copies repeat bit for bit and hold the same running statistics; no tensor is left behind.
func TestCopiesRepeat(t *testing.T) {
	oneThread(t)
	for _, net := range []zoo.Options{resnet, mlp} {
		build := func() *local.Chain { return chain(t, net, sgr("directional"), torch.Float32) }
		first, left, errs := copies(t, 2, 6, false, build, nil)
		again, other, more := copies(t, 2, 6, false, build, nil)
		if err := errors.Join(append(errs, more...)...); err != nil {
			t.Fatal(err)
		}
		same(t, other, left, again[0], first[0])
		same(t, other, other, again[0], again[1])
		for _, m := range first[0] {
			if m.BucketBytes() < 4*3 || m.Ranks() != 2 {
				t.Errorf("module %d: a bucket of %d bytes for %d ranks", m.Index, m.BucketBytes(), m.Ranks())
			}
		}
	}
}

// What is not finite on one rank stops all of them at the same step, with the same weights.
func TestCopiesDivergeTogether(t *testing.T) {
	oneThread(t)
	build := func() *local.Chain { return chain(t, mlp, sgr("directional"), torch.Float32) }
	all, left, errs := copies(t, 2, 6, false, build, func(rank, step int, x torch.Tensor) {
		if rank == 1 && step == 3 {
			torch.ForeachScale([]torch.Tensor{x}, math.Inf(1))
		}
	})
	for r, err := range errs {
		var d *local.Diverged
		if !errors.As(err, &d) || d.Step != 3 || d.Module != 1 {
			t.Errorf("rank %d: %v, want module 1 to diverge at step 3", r, err)
		}
	}
	if len(left) != 3 {
		t.Errorf("%d steps were told, want 3", len(left))
	}
	if !reflect.DeepEqual(stateOf(all[0]...), stateOf(all[1]...)) {
		t.Error("the copies hold different weights")
	}
}
