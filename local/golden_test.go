package local_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
)

// A variant is one training of steps.py.
type variant struct {
	file, name string
	o          method.Options
}

func (v variant) String() string { return v.file + " " + v.name }

// plain are the methods without a term.
func plain() []variant {
	return []variant{
		{"plain", "bp", method.Options{Name: "bp"}},
		{"plain", "layerwise", method.Options{Name: "layerwise", Modules: 3}},
	}
}

// reconciled are all ways to measure S; λ comes from the file, where it makes the term as large as the loss.
func reconciled(gradient string) []variant {
	var all []variant
	for _, file := range []string{"normalized", "raw"} {
		for _, reduction := range []string{"mean", "batch", "sum"} {
			o := sgr(gradient)
			o.Reduction, o.Normalize = reduction, file == "normalized"
			all = append(all, variant{file, reduction, o})
		}
	}
	return all
}

// run is a network that is trained through the two steps of a variant.
type run struct {
	*local.Chain
	start, want nntest.Golden
	name        string
	states      []state // before the first step, after it, after the second
	wants       []state // likewise, of steps.py
	stats       [][]local.Stats
}

// replay trains a variant from the start that steps.py had. change may be nil.
func replay(t *testing.T, s *torch.Scope, v variant, dtype torch.DType, change func(*method.Options)) *run {
	t.Helper()
	r := begin(t, s, v, dtype, change)
	r.step(t)
	r.step(t)
	return r
}

func begin(t *testing.T, s *torch.Scope, v variant, dtype torch.DType, change func(*method.Options)) *run {
	t.Helper()
	r := &run{start: nntest.Open(t, s, "testdata/start.safetensors"), name: v.name}
	r.want = nntest.Open(t, s, "testdata/"+v.file+".safetensors")
	if v.file != "plain" {
		v.o.Lambda = r.want.Get(t, v.name+"|lambda").Item()
	}
	if change != nil {
		change(&v.o)
	}
	r.Chain = chain(t, resnet, v.o, dtype)
	for _, m := range r.Modules() {
		r.start.Load(t, "", m.Params)
	}
	r.states, r.wants = []state{stateOf(r.Modules()...)}, []state{stateOf(r.Modules()...)}
	return r
}

// step trains once more on the batch that steps.py had.
func (r *run) step(t *testing.T) {
	t.Helper()
	step := len(r.stats)
	x, y := r.batch(t, r.DType, step)
	left, err := r.Step(x, y, local.Tick{Step: step, LR: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	r.stats = append(r.stats, left[0].Stats)
	r.states = append(r.states, stateOf(r.Modules()...))
	want := state{}
	for name := range r.states[0] {
		want[name] = r.want.Get(t, fmt.Sprintf("%s|%d|%s", r.name, step, name)).Float64s()
	}
	r.wants = append(r.wants, want)
}

func (r *run) batch(t *testing.T, dtype torch.DType, step int) (x, y torch.Tensor) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	all, labels := r.start.Get(t, "images").Float64s(), r.start.Get(t, "labels").Float64s()
	n := len(all) / 2
	x = s.FromDoubles(all[step*n:(step+1)*n], batch, int64(images.C), int64(images.H), int64(images.W))
	ints := make([]int64, batch)
	for i := range ints {
		ints[i] = int64(labels[step*batch+i])
	}
	return s.ChannelsLast(s.Cast(x, dtype)).Keep(), s.FromInts(ints).Keep()
}

// checkStats holds losses, S and cosines of both steps to steps.py and returns the worst relative error.
func (r *run) checkStats(t *testing.T, tol float64) (worst float64) {
	t.Helper()
	check := func(key string, step, from int, of func(local.Stats) float64) {
		golden, ok := r.want[fmt.Sprintf("%s|%d|%s", r.name, step, key)]
		if !ok {
			return
		}
		for i, want := range golden.Float64s() {
			got := of(r.stats[step][from+i])
			e := math.Abs(got-want) / math.Abs(want)
			if worst = max(worst, e); !(e <= tol) {
				t.Errorf("step %d, module %d: %s is %v, want %v", step+1, from+i+1, key, got, want)
			}
		}
	}
	for step := range r.stats {
		check("loss", step, 0, func(s local.Stats) float64 { return s.Loss })
		check("sgr", step, 1, func(s local.Stats) float64 { return s.SGR })
		check("cos", step, 1, func(s local.Stats) float64 { return s.Cos })
	}
	return worst
}

// checkTensors holds every parameter's update, and every buffer, of both steps to want and returns the worst errors.
func (r *run) checkTensors(t *testing.T, want []state, tol float64) (worst float64) {
	t.Helper()
	for step := 1; step <= 2; step++ {
		for _, m := range r.Modules() {
			for _, p := range m.Params {
				got, golden := r.states[step][p.Name], want[step][p.Name]
				if p.Trainable {
					got, golden = minus(got, r.states[step-1][p.Name]), minus(golden, want[step-1][p.Name])
				}
				e := nntest.RelativeError(got, golden)
				if worst = max(worst, e); !(e <= tol) {
					t.Errorf("step %d: %s is off by %.2e of its update or value, want at most %.0e", step, p.Name, e, tol)
				}
			}
		}
	}
	return worst
}

func TestTrainingStepsAgreeWithPyTorch(t *testing.T) {
	for _, v := range append(plain(), reconciled("double")...) {
		t.Run(v.String(), func(t *testing.T) {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			r := replay(t, s, v, torch.Float32, nil)
			t.Logf("worst relative error: updates and buffers %.1e, losses, S and cosines %.1e",
				r.checkTensors(t, r.wants, 1e-4), r.checkStats(t, 1e-4))
		})
	}
}

// Without it the agreement above could be that of a term too small to matter.
func TestGoldenTermsMatter(t *testing.T) {
	for _, v := range reconciled("double") {
		t.Run(v.String(), func(t *testing.T) {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			r := replay(t, s, v, torch.Float32, func(o *method.Options) { o.Lambda = 0 })
			for k, m := range r.Modules() {
				e := nntest.RelativeError(update(m, r.states[0], r.states[1]), update(m, r.wants[0], r.wants[1]))
				if differs := e > 0.1; differs != (k > 0) {
					t.Errorf("without the term module %d's update is off by %.2g", k+1, e)
				}
				t.Logf("without the term module %d's update is off by %.2g", k+1, e)
			}
		})
	}
}

// The second step starts from PyTorch's weights: from our own, which are 1e-4 away, a ReLU gate that tips over would
// hide how exact the gradient is.
func TestDirectionalStepsAgreeWithPyTorch(t *testing.T) {
	for _, v := range reconciled("directional") {
		t.Run(v.String(), func(t *testing.T) {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			r := begin(t, s, v, torch.Float32, nil)
			for step := 1; step <= 2; step++ {
				before := stateOf(r.Modules()...)
				r.step(t)
				for k, m := range r.Modules() {
					cos, ratio := cosine(update(m, before, r.states[step]), update(m, r.wants[step-1], r.wants[step]))
					if !(cos >= 0.9999 && math.Abs(ratio-1) <= 1e-3) {
						t.Errorf("step %d, module %d: cosine %.6f, norms' ratio %.5f", step, k+1, cos, ratio)
					}
					t.Logf("step %d, module %d: 1 − cosine %.1e, norms' ratio − 1 %.1e", step, k+1, 1-cos, ratio-1)
					r.want.Load(t, fmt.Sprintf("%s|%d|", v.name, step-1), m.Params)
				}
			}
		})
	}
}

func TestDirectionalAgreesWithDoubleBackwardInFloat64(t *testing.T) {
	doubles := reconciled("double")
	for i, v := range reconciled("directional") {
		t.Run(v.String(), func(t *testing.T) {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			want := replay(t, s, doubles[i], torch.Float64, nil)
			got := replay(t, s, v, torch.Float64, nil)
			t.Logf("worst relative error %.1e", got.checkTensors(t, want.states, 1e-5))
		})
	}
}
