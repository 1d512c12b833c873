package local_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// twinned composes a method of two views over a network whose projectors have these widths.
func twinned(t testing.TB, net zoo.Options, o method.Options, dtype torch.DType, widths ...int) *local.Chain {
	t.Helper()
	method, o, err := method.Lookup(o)
	if err != nil {
		t.Fatal(err)
	}
	return compose(assemble(t, net, method, o.Modules, zoo.HeadOptions{Widths: widths}), method, o, dtype)
}

// The loss holds to PyTorch whichever product it takes: for batches smaller than the embedding, and larger ones.
func TestTwinsAgreesWithPyTorch(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	g := nntest.Open(t, s, "testdata/twins.safetensors")
	for _, size := range [][2]int64{{6, 9}, {9, 6}} {
		n, d := size[0], size[1]
		z := s.FromDoubles(nntest.Formula(fmt.Sprintf("embeddings %d %d", n, d), 2*n*d), 2*n, d)
		m := &local.Module{Head: nn.Sequential{}}
		p := nn.Train(s, torch.Float64, nil).Over(2)
		got := local.Twins{Redundancy: 0.0051}.Loss(p, m, z, local.Signal{}).Item()
		want := g.Get(t, fmt.Sprintf("loss %d %d", n, d)).Item()
		if !(math.Abs(got-want) <= 1e-12*want) {
			t.Errorf("of %d embeddings of width %d: %.15g, want %.15g", n, d, got, want)
		}
	}
}

// Steps hold to twins.py in float64: losses, every parameter's update, every statistic. The one-sided difference of the
// directional gradient is what its tolerance allows for.
func TestBarlowStepsAgreeWithPyTorch(t *testing.T) {
	for _, tt := range []struct {
		method, gradient string
		tol              float64
	}{
		{"barlow", "", 1e-8}, {"barlow-blockwise", "", 1e-8}, // its noise is tried on its own
		{"barlow-sgr", "double", 1e-8}, {"barlow-sgr", "directional", 1e-4},
	} {
		t.Run(tt.method+" "+tt.gradient, func(t *testing.T) {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			g := nntest.Open(t, s, "testdata/twins.safetensors")
			o := method.Options{Name: tt.method, Modules: 3, Redundancy: 0.0051, Lambda: 300, Reduction: "batch", Normalize: true, Gradient: tt.gradient}
			c := twinned(t, zoo.Options{Name: "resnet32", Depth: 8, Width: 16}, o, torch.Float64, 12, 20, 20, 14)
			for _, m := range c.Modules() {
				nntest.Fill(m.Params)
			}
			worst := 0.0
			for i := range 2 {
				before := stateOf(c.Modules()...)
				x := s.ChannelsLast(s.FromDoubles(nntest.Formula(fmt.Sprintf("images %d", i), 16*3*8*8), 16, 3, 8, 8)).Keep()
				left, err := c.Step(x, s.FromInts(make([]int64, 8)).Keep(), local.Tick{Step: i, LR: 0.1})
				if err != nil {
					t.Fatal(err)
				}
				for k, want := range g.Get(t, fmt.Sprintf("%s|%d|loss", tt.method, i)).Float64s() {
					if got := left[0].Stats[k].Loss; !(math.Abs(got-want) <= tt.tol*want) {
						t.Errorf("step %d, module %d: loss %.12g, want %.12g", i+1, k+1, got, want)
					}
				}
				worst = max(worst, checkUpdates(t, g, fmt.Sprintf("%s|%d|", tt.method, i), c, before, tt.tol))
			}
			t.Logf("worst relative error %.1e", worst)
		})
	}
}

// Without it the agreement above could be that of a term too small to matter.
func TestReconciledTwinsMatter(t *testing.T) {
	o := method.Options{Name: "barlow-sgr", Modules: 3, Redundancy: 0.0051, Lambda: 300, Reduction: "batch", Normalize: true}
	var ends []state
	var c *local.Chain
	for _, o.Lambda = range []float64{0, 300} {
		c = twinned(t, resnet, o, torch.Float64, 12, 20, 20)
		ends = append(ends, stateOf(c.Modules()...))
		x, y := twoViews(torch.Float64, batch, 8, 3)
		if _, err := c.Step(x, y, local.Tick{LR: 0.1}); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, stateOf(c.Modules()...))
	}
	for k, m := range c.Modules() {
		e := nntest.RelativeError(update(m, ends[0], ends[1]), update(m, ends[2], ends[3]))
		if differs := e > 0.05; differs != (k > 0) {
			t.Errorf("without the term module %d's update is off by %.2g", k+1, e)
		}
	}
}

// twoViews returns n images of a side in two views, and labels; the caller owns both.
func twoViews(dtype torch.DType, n, side int64, seed uint64) (x, y torch.Tensor) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	x = s.Full(dtype, 0, 2*n, 3, side, side)
	x.Normal(0, 1, seed)
	return x.Keep(), s.FromInts(make([]int64, n)).Keep()
}

// Images in one view are refused, and cost no memory.
func TestOneViewIsRefused(t *testing.T) {
	c := twinned(t, resnet, method.Options{Name: "barlow", Modules: 1}, torch.Float32, 12, 20, 20)
	nothingLeft(t, func() {
		x, y := randomBatch(torch.Float32, 1)
		if _, err := c.Step(x, y, local.Tick{LR: 0.1}); err == nil {
			t.Error("a batch of one view is taken")
		}
	})
}

// Each view is normalised by itself: exchanging the views changes no gradient, while mixing the samples of both would.
func TestViewsAreNormalisedByThemselves(t *testing.T) {
	o := method.Options{Name: "barlow-blockwise", Modules: 3, Redundancy: 0.0051}
	after := func(order ...int64) []float64 {
		c := twinned(t, resnet, o, torch.Float64, 12, 20, 20)
		before := stateOf(c.Modules()...)
		x, y := twoViews(torch.Float64, 2, 8, 5)
		s := torch.NewScope(torch.NoGrad)
		defer s.Close()
		if _, err := c.Step(s.Rows(s.Adopt(x), s.FromInts(order)).Keep(), y, local.Tick{LR: 0.1}); err != nil {
			t.Fatal(err)
		}
		last := c.Modules()[2]
		return update(last, before, stateOf(last))
	}
	plain := after(0, 1, 2, 3)
	if e := nntest.RelativeError(after(2, 3, 0, 1), plain); e > 1e-9 {
		t.Errorf("the other view first: updates differ by %.1e", e)
	}
	if e := nntest.RelativeError(after(0, 2, 1, 3), plain); e < 1e-2 {
		t.Errorf("samples exchanged between views: updates differ by %.1e only", e)
	}
}

// Noise falls on inputs of modules behind the first, anew at every step and the same in all passes of a step.
func TestBlockwiseNoise(t *testing.T) {
	run := func(noise float64, step int, sgr bool) []state {
		o := method.Options{Name: "barlow-blockwise", Modules: 3, Redundancy: 0.0051, Noise: noise, SGR: sgr, Lambda: 300, Reduction: "batch", Normalize: true}
		c := twinned(t, resnet, o, torch.Float64, 12, 20, 20)
		x, y := twoViews(torch.Float64, batch, 8, 3)
		if _, err := c.Step(x, y, local.Tick{Step: step, LR: 0.1}); err != nil {
			t.Fatal(err)
		}
		var all []state
		for _, m := range c.Modules() {
			all = append(all, stateOf(m))
		}
		return all
	}
	same := func(a, b state) bool {
		for name := range a {
			if !slices.Equal(a[name], b[name]) {
				return false
			}
		}
		return true
	}
	quiet, noisy, again, later := run(0, 0, false), run(0.25, 0, false), run(0.25, 0, false), run(0.25, 1, false)
	for k := range noisy {
		if !same(noisy[k], again[k]) {
			t.Errorf("module %d: two runs of one seed differ", k+1)
		}
		if k > 0 == same(noisy[k], quiet[k]) {
			t.Errorf("module %d: noise on its input is %t", k+1, k == 0)
		}
		if k > 0 && same(noisy[k], later[k]) {
			t.Errorf("module %d: two steps have the same noise", k+1)
		}
	}
	if same(run(0.25, 0, true)[1], noisy[1]) {
		t.Error("SGR's term on top changes nothing")
	}
}

// Of a part of the batch, both views of the same samples are taken.
func TestFractionOfTwoViews(t *testing.T) {
	o := method.Options{Name: "barlow-sgr", Modules: 3, Redundancy: 0.0051, Lambda: 5, Reduction: "batch", Normalize: true, Fraction: 0.5}
	c := twinned(t, resnet, o, torch.Float32, 12, 20, 20)
	nothingLeft(t, func() {
		x, y := twoViews(torch.Float32, batch, 8, 3)
		left, err := c.Step(x, y, local.Tick{LR: 0.01})
		if err != nil {
			t.Fatal(err)
		}
		if cos := left[0].Stats[1].Cos; math.IsNaN(cos) {
			t.Error("the term is not measured")
		}
	})
}

// Every module frees what it needed before the next one starts: the whole network peaks where its largest module does
// alone, below what end-to-end training needs.
func TestBlockwisePeakIsThatOfTheLargestModule(t *testing.T) {
	net := zoo.Options{Name: "resnet32", Depth: 20, Width: 16}
	peak := func(step func()) int64 {
		step()
		before := torch.LiveBytes()
		torch.ResetPeak()
		step()
		return torch.PeakBytes() - before
	}
	const n, side = 16, 32
	whole := func(name string, modules int) (*local.Chain, int64) {
		c := twinned(t, net, method.Options{Name: name, Modules: modules, Redundancy: 0.0051, Noise: 0.25}, torch.Float32, 16, 32, 32)
		return c, peak(func() {
			x, y := twoViews(torch.Float32, n, side, 1)
			if _, err := c.Step(x, y, local.Tick{LR: 0.01}); err != nil {
				t.Fatal(err)
			}
		})
	}
	c, blockwise := whole("barlow-blockwise", 3)
	var largest int64
	x, y := twoViews(torch.Float32, n, side, 1)
	in := local.Signal{X: x, Y: y}
	for _, m := range c.Modules() {
		s := torch.NewScope(torch.NoGrad)
		step := func() local.Signal { // on a copy of its signal, which a step consumes
			out, _, _ := c.Rule.Train(m, local.Signal{X: s.Clone(in.X).Keep(), Y: s.Clone(in.Y).Keep()}, torch.Float32, local.Tick{LR: 0.01})
			return out
		}
		largest = max(largest, peak(func() { step().Free() }))
		out := step()
		in.Free()
		in = out
		s.Close()
	}
	in.Free()
	_, full := whole("barlow", 1)
	t.Logf("%d kB block by block, %d kB its largest module, %d kB end to end", blockwise/1000, largest/1000, full/1000)
	if float64(blockwise) > 1.001*float64(largest) {
		t.Errorf("the peak is %d bytes, its largest module's %d", blockwise, largest)
	}
	if float64(blockwise) > 0.75*float64(full) {
		t.Errorf("the peak is %d bytes, end to end %d: want at most 75 %%", blockwise, full)
	}
}

// Checkpoints change memory, not results, on two views as well.
func TestCheckpointedTwins(t *testing.T) {
	run := func(checkpoint string) state {
		o := method.Options{Name: "barlow-sgr", Modules: 2, Redundancy: 0.0051, Lambda: 5, Reduction: "batch", Normalize: true, Checkpoint: checkpoint}
		c := twinned(t, resnet, o, torch.Float64, 12, 20, 20)
		x, y := twoViews(torch.Float64, batch, 8, 3)
		if _, err := c.Step(x, y, local.Tick{LR: 0.1}); err != nil {
			t.Fatal(err)
		}
		return stateOf(c.Modules()...)
	}
	plain := run("none")
	for name, v := range run("blocks") {
		if e := nntest.RelativeError(v, plain[name]); e > 1e-6 {
			t.Errorf("%s differs by %.1e", name, e)
		}
	}
}
