package torch_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/locus-learn/locus/torch"
)

const (
	normMomentum = 0.1
	normEps      = 1e-5
)

// normCase is one call of BatchNormAct.
type normCase struct {
	dtype                 torch.DType
	n, c, h, w            int64
	residual, relu, train bool
	contiguous            bool // NCHW instead of channels-last
}

func (k normCase) String() string {
	s := fmt.Sprintf("%v_%dx%dx%dx%d", k.dtype, k.n, k.c, k.h, k.w)
	for _, f := range []struct {
		on   bool
		name string
	}{{k.residual, "residual"}, {k.relu, "relu"}, {k.train, "train"}, {k.contiguous, "nchw"}} {
		if f.on {
			s += "_" + f.name
		}
	}
	return s
}

// normOperands are the leaves of a case: x, w, b, residual (or none), and what y is multiplied by in the loss.
type normOperands struct {
	x, w, b, residual, weight, mean, variance torch.Tensor
}

func (k normCase) operands(s *torch.Scope, offset, std float64) normOperands {
	image := func(mean, std float64, seed uint64) torch.Tensor {
		t := s.Full(torch.Float32, 0, k.n, k.c, k.h, k.w)
		t.Normal(mean, std, seed)
		if k.contiguous {
			t = s.FromBytes(torch.Float32, t.Data(), k.n, k.c, k.h, k.w)
		}
		return s.Detach(s.Cast(t, k.dtype)).SetRequiresGrad(true)
	}
	channel := func(low, high float64, seed uint64) torch.Tensor {
		t := s.Full(torch.Float32, 0, k.c)
		t.Uniform(low, high, seed)
		if k.dtype == torch.Float64 {
			t = s.Cast(t, torch.Float64)
		}
		return s.Detach(t)
	}
	o := normOperands{
		x: image(offset, std, 1), weight: image(0, 1, 2),
		w: channel(0.5, 1.5, 3).SetRequiresGrad(true), b: channel(-0.5, 0.5, 4).SetRequiresGrad(true),
		mean: channel(-1, 1, 5), variance: channel(0.5, 2, 6),
	}
	if k.residual {
		o.residual = image(0, 1, 7)
	}
	return o
}

func (k normCase) options(o normOperands) torch.NormOptions {
	return torch.NormOptions{Train: k.train, Momentum: normMomentum, Eps: normEps, Residual: o.residual, ReLU: k.relu}
}

// inputs are what BatchNormAct is differentiated by, leaves all that have a gradient.
func (o normOperands) inputs() []torch.Tensor {
	l := []torch.Tensor{o.x, o.w, o.b}
	if o.residual.Defined() {
		l = append(l, o.residual)
	}
	return l
}

func (o normOperands) leaves() []torch.Tensor { return append(o.inputs(), o.weight) }

// float64s are the same leaves and statistics, in float64.
func (o normOperands) float64s(s *torch.Scope) normOperands {
	for _, t := range []*torch.Tensor{&o.x, &o.w, &o.b, &o.residual, &o.weight} {
		if t.Defined() {
			*t = s.Clone(s.Cast(s.Detach(*t), torch.Float64))
			*t = s.Detach(*t).SetRequiresGrad(true)
		}
	}
	o.mean, o.variance = s.Clone(s.Cast(o.mean, torch.Float64)), s.Clone(s.Cast(o.variance, torch.Float64))
	return o
}

// composed is BatchNormAct by the operations that it replaces; with closed, those units are shut.
func composed(s *torch.Scope, o normOperands, k torch.NormOptions, closed torch.Tensor) torch.Tensor {
	y := s.BatchNorm(o.x, o.w, o.b, o.mean, o.variance, k.Train, k.Momentum, k.Eps)
	if k.Residual.Defined() {
		s.AddInPlace(y, o.residual, 1)
	}
	switch {
	case k.ReLU && closed.Defined():
		s.ZeroWhere(y, closed)
	case k.ReLU:
		s.ReLUInPlace(y)
	}
	return y
}

func fused(s *torch.Scope, o normOperands, k torch.NormOptions) torch.Tensor {
	y, _ := s.BatchNormAct(o.x, o.w, o.b, o.mean, o.variance, k)
	return y
}

// loss makes o.weight the gradient that reaches y.
func loss(s *torch.Scope, y torch.Tensor, o normOperands) torch.Tensor {
	return s.Sum(s.Mul(y, o.weight))
}

// near compares with float64 results, by the largest difference over the largest value or 1.
func near(t *testing.T, what string, got, want torch.Tensor, tolerance float64) {
	t.Helper()
	g, w := got.Float64s(), want.Float64s()
	largest, off := 1.0, 0.0
	for i := range w {
		largest, off = max(largest, math.Abs(w[i])), max(off, math.Abs(g[i]-w[i]))
		if math.IsNaN(g[i]) != math.IsNaN(w[i]) {
			off = math.Inf(1)
		}
	}
	if off > tolerance*largest {
		t.Errorf("%s: off by %.3g of %.3g", what, off, largest)
	}
}

func tolerance(d torch.DType) float64 {
	return map[torch.DType]float64{torch.Float32: 3e-6, torch.BFloat16: 1. / 128, torch.Float64: 1e-12}[d]
}

func normCases() []normCase {
	var all []normCase
	sizes := [][3]int64{{5, 1, 1}, {6, 2, 2}, {3, 5, 7}, {2, 33, 31}}
	for _, c := range []int64{1, 3, 5, 16, 17, 32, 64, 128} {
		for _, z := range sizes {
			for flags := range 8 {
				k := normCase{n: z[0], c: c, h: z[1], w: z[2], residual: flags&1 != 0, relu: flags&2 != 0, train: flags&4 != 0}
				for _, k.dtype = range []torch.DType{torch.Float32, torch.BFloat16} {
					all = append(all, k)
				}
				if c == 5 || c == 16 {
					k.dtype = torch.Float64
					all = append(all, k)
					k.dtype, k.contiguous = torch.Float32, true
					all = append(all, k)
				}
			}
		}
	}
	return all
}

// Values, gradients and running statistics are those of the composition in float64 with the same units shut, and
// the units that are shut are those below zero.
func TestBatchNormActAgrees(t *testing.T) {
	for _, k := range append(normCases(), normCase{dtype: torch.Float32, n: 2, c: 2048, h: 3, w: 3, relu: true, train: true}) {
		t.Run(k.String(), func(t *testing.T) {
			s := torch.NewScope(torch.Grad)
			defer s.Close()
			o := k.operands(s, 0.5, 2)
			free, o64 := o.float64s(s), o.float64s(s)
			y := fused(s, o, k.options(o))
			y64 := composed(s, o64, k.options(o64), s.IsZero(s.Detach(y)))
			tol := tolerance(k.dtype)
			near(t, "y", y, y64, tol)
			near(t, "y by free gates", y, composed(s, free, k.options(free), torch.Tensor{}), tol)
			near(t, "running mean", o.mean, o64.mean, 1e-6)
			near(t, "running variance", o.variance, o64.variance, 1e-6)
			got := s.Grad(loss(s, y, o), o.leaves(), torch.GradOptions{})
			want := s.Grad(loss(s, y64, o64), o64.leaves(), torch.GradOptions{})
			sums := tol * math.Sqrt(float64(k.n*k.h*k.w))
			near(t, "dw", got[1], want[1], sums)
			near(t, "db", got[2], want[2], sums)
			for _, i := range []int{0, 3, len(got) - 1} {
				near(t, fmt.Sprint("gradient ", i), got[i], want[i], 2*tol)
			}
		})
	}
}

// Where backward decides the gates again it decides as forward did, even a rounding error from zero.
func TestBatchNormActDecidesAgain(t *testing.T) {
	const c = 17
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	zero, one, b := s.Full(torch.Float32, 0, c), s.Full(torch.Float32, 1, c), s.Full(torch.Float32, 0.5, c)
	x := s.Full(torch.Float32, 0, 8, c, 9, 9)
	x.Normal(-0.5*math.Sqrt(1+normEps), 1e-7, 1)
	y, _ := s.BatchNormAct(x.SetRequiresGrad(true), one, b, zero, one, torch.NormOptions{ReLU: true, Eps: normEps})
	dx := s.Grad(s.Sum(y), []torch.Tensor{x}, torch.GradOptions{})[0]
	closed := s.IsZero(s.Detach(y))
	if !s.IsZero(dx).Equal(closed) {
		t.Error("backward shut other units than forward")
	}
	share := 0
	for _, v := range closed.Data() {
		share += int(v)
	}
	if n := int(x.Numel()); share < n/4 || share > n*3/4 {
		t.Errorf("%d of %d units are shut: the test does not straddle zero", share, n)
	}
}

// The kernels for narrower vectors agree as well: libtorch's variable limits both to them.
func TestBatchNormActNarrower(t *testing.T) {
	if os.Getenv("ATEN_CPU_CAPABILITY") != "" {
		t.Skip("limited from outside")
	}
	for _, isa := range []string{"avx2", "default"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestBatchNormAct(Agrees|DecidesAgain|Replays|Threads)$")
		cmd.Env = append(os.Environ(), "ATEN_CPU_CAPABILITY="+isa)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", isa, err, out)
		}
	}
}

// A replay shuts the recorded units, wherever they are now, and is differentiated so; the running statistics stay.
// What bfloat16 has recorded can be replayed in float32, and in float64.
func TestBatchNormActReplays(t *testing.T) {
	for _, k := range []normCase{
		{dtype: torch.Float32, n: 6, c: 16, h: 9, w: 9, relu: true, train: true},
		{dtype: torch.BFloat16, n: 6, c: 16, h: 9, w: 9, relu: true, train: true, residual: true},
		{dtype: torch.Float32, n: 3, c: 5, h: 7, w: 3, relu: true, train: true, residual: true},
		{dtype: torch.Float64, n: 3, c: 5, h: 7, w: 3, relu: true, train: true, residual: true},
		{dtype: torch.Float32, n: 3, c: 5, h: 7, w: 3, relu: true, train: true, contiguous: true},
	} {
		t.Run(k.String(), func(t *testing.T) {
			s := torch.NewScope(torch.Grad)
			defer s.Close()
			first := k.operands(s, 0, 1)
			record := k.options(first)
			record.Record = true
			y, gates := s.BatchNormAct(first.x, first.w, first.b, torch.Tensor{}, torch.Tensor{}, record)
			closed := s.IsZero(s.Detach(y))

			for _, k.dtype = range []torch.DType{k.dtype, torch.Float32, torch.Float64} {
				o := k.operands(s, 0.3, 2) // the same draws, moved and stretched across the gates
				o.mean, o.variance = torch.Tensor{}, torch.Tensor{}
				replay := k.options(o)
				replay.Gates = gates
				y, again := s.BatchNormAct(o.x, o.w, o.b, o.mean, o.variance, replay)
				if again.Defined() {
					t.Error("a replay recorded gates")
				}
				o64 := k.operands(s, 0.3, 2).float64s(s)
				y64 := composed(s, o64, k.options(o64), closed)
				near(t, "y", y, y64, tolerance(k.dtype))
				got := s.Grad(loss(s, y, o), o.leaves(), torch.GradOptions{})
				want := s.Grad(loss(s, y64, o64), o64.leaves(), torch.GradOptions{})
				for i := range got {
					near(t, fmt.Sprint("gradient ", i), got[i], want[i], 2*tolerance(k.dtype))
				}
			}
		})
	}
}

// Results do not depend on the number of threads, to the last bit.
func TestBatchNormActThreads(t *testing.T) {
	defer torch.SetThreads(0)
	k := normCase{dtype: torch.Float32, n: 9, c: 16, h: 32, w: 31, relu: true, train: true, residual: true}
	var want []torch.Tensor
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	for _, threads := range []int{1, 2, 3} {
		torch.SetThreads(threads)
		o := k.operands(s, 3, 1)
		options := k.options(o)
		options.Record = true
		y, gates := s.BatchNormAct(o.x, o.w, o.b, o.mean, o.variance, options)
		got := append(s.Grad(loss(s, y, o), o.leaves(), torch.GradOptions{}), y, gates, o.mean, o.variance)
		for i := range want {
			if !got[i].Equal(want[i]) {
				t.Errorf("result %d differs between 1 and %d threads", i, threads)
			}
		}
		want = got
	}
}

// The variance survives a mean that is far larger, and a first pixel that is nothing like the rest.
func TestBatchNormActStatistics(t *testing.T) {
	const n, c, side = 16, 16, 32
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	spread := normCase{dtype: torch.Float32, n: n, c: c, h: side, w: side}.operands(s, 1000, 0.01).x
	outlier := make([]float32, n*c*side*side)
	for i := range outlier {
		outlier[i] = 3
		if i%(side*side) == 0 && i < c*side*side {
			outlier[i] = 1e4
		}
	}
	for name, x := range map[string]torch.Tensor{
		"large mean":  spread,
		"first pixel": s.ChannelsLast(s.FromFloats(outlier, n, c, side, side)),
	} {
		variance := func(x torch.Tensor, f func(x, w, b, mean, variance torch.Tensor)) []float64 {
			dtype := torch.Float32
			if x.DType() == torch.Float64 {
				dtype = torch.Float64
			}
			one, zero := s.Full(dtype, 1, c), s.Full(dtype, 0, c)
			v := s.Full(dtype, 0, c)
			f(x, one, zero, s.Full(dtype, 0, c), v)
			return v.Float64s()
		}
		library := func(x, w, b, mean, v torch.Tensor) { s.BatchNorm(x, w, b, mean, v, true, 1, normEps) }
		own := func(x, w, b, mean, v torch.Tensor) {
			s.BatchNormAct(x, w, b, mean, v, torch.NormOptions{Train: true, Momentum: 1, Eps: normEps})
		}
		want := variance(s.Cast(x, torch.Float64), library)
		worst := func(got []float64) (off float64) {
			for i := range want {
				off = max(off, math.Abs(got[i]/want[i]-1))
			}
			return off
		}
		ours, theirs := worst(variance(x, own)), worst(variance(x, library))
		t.Logf("%s: variance off by %.2g, libtorch's by %.2g", name, ours, theirs)
		if ours > max(1e-6, theirs) {
			t.Errorf("%s: variance off by %.2g, libtorch's by %.2g", name, ours, theirs)
		}
	}
}

// A NaN in the input is not hidden behind a closed gate.
func TestBatchNormActShowsNaN(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	x := s.Full(torch.Float32, math.NaN(), 2, 16, 4, 4)
	one := s.Full(torch.Float32, 1, 16)
	y, _ := s.BatchNormAct(x, one, one, one, one, torch.NormOptions{ReLU: true, Eps: normEps})
	if torch.AllFinite([]torch.Tensor{y}) {
		t.Error("NaN became finite")
	}
}

// A second derivative is that of the composition with its gates fixed.
func TestBatchNormActTwice(t *testing.T) {
	for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
		for flags := range 8 {
			k := normCase{dtype: dtype, n: 4, c: 17, h: 6, w: 5, residual: flags&1 != 0, relu: flags&2 != 0, train: flags&4 != 0}
			t.Run(k.String(), func(t *testing.T) {
				s := torch.NewScope(torch.Grad)
				defer s.Close()
				o := k.operands(s, 0.5, 2)
				o64 := o.float64s(s)
				y := fused(s, o, k.options(o))
				y64 := composed(s, o64, k.options(o64), s.IsZero(s.Detach(y)))
				second := func(y torch.Tensor, o normOperands) []torch.Tensor {
					inputs := []torch.Tensor{o.x, o.w}
					if k.residual {
						inputs = append(inputs, o.residual)
					}
					first := s.Grad(loss(s, y, o), inputs, torch.GradOptions{CreateGraph: true})
					sum := s.Sum(s.Mul(first[0], first[0]))
					for _, g := range first[1:] {
						sum = s.Add(sum, s.Sum(s.Mul(g, g)), 1)
					}
					return s.Grad(sum, []torch.Tensor{o.x, o.w, o.weight}, torch.GradOptions{})
				}
				got, want := second(y, o), second(y64, o64)
				for i := range want {
					if want[i].Defined() != got[i].Defined() {
						t.Fatalf("gradient %d: %v, want %v", i, got[i], want[i])
					}
					if want[i].Defined() {
						near(t, fmt.Sprint("gradient ", i), got[i], want[i], 4*tolerance(k.dtype))
					}
				}
			})
		}
	}
}

// The incoming gradient is overwritten only where nobody else needs it.
func TestBatchNormActLeavesSharedGradients(t *testing.T) {
	k := normCase{dtype: torch.Float32, n: 4, c: 16, h: 8, w: 8, relu: true, train: true}
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	o := k.operands(s, 0, 1)
	y := fused(s, o, k.options(o))
	dy := s.Grad(loss(s, y, o), []torch.Tensor{y, o.x}, torch.GradOptions{Retain: true})
	if !dy[0].Equal(o.weight) {
		t.Error("a captured gradient was overwritten")
	}

	// One gradient goes to both normalisations, and y is used three times.
	twice := func(norm func(o normOperands) torch.Tensor, o normOperands) []torch.Tensor {
		y, z := norm(o), norm(o)
		sum := s.Add(s.Add(y, z, 1), s.Mul(y, y), 1)
		return s.Grad(s.Add(loss(s, sum, o), s.Sum(y), 1), o.leaves(), torch.GradOptions{})
	}
	o64 := o.float64s(s)
	closed := s.IsZero(s.Detach(y))
	got := twice(func(o normOperands) torch.Tensor { return fused(s, o, k.options(o)) }, o)
	want := twice(func(o normOperands) torch.Tensor { return composed(s, o, k.options(o), closed) }, o64)
	for i := range want {
		near(t, fmt.Sprint("gradient ", i), got[i], want[i], 2*tolerance(k.dtype))
	}
}

// step is one forward and backward pass. It returns the peak over what was live before.
func (k normCase) step(o normOperands, norm func(*torch.Scope, normOperands, torch.NormOptions) torch.Tensor) int64 {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	before := torch.LiveBytes()
	torch.ResetPeak()
	y := norm(s, o, k.options(o))
	l := loss(s, y, o)
	y.Free()
	s.Grad(l, o.inputs(), torch.GradOptions{})
	return torch.PeakBytes() - before
}

func library(s *torch.Scope, o normOperands, k torch.NormOptions) torch.Tensor {
	return composed(s, o, k, torch.Tensor{})
}

// The peak stays below the composition's, and nothing stays behind.
func TestBatchNormActMemory(t *testing.T) {
	for flags := range 4 {
		for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
			k := normCase{dtype: dtype, n: 16, c: 32, h: 16, w: 16, residual: flags&1 != 0, relu: flags&2 != 0, train: true}
			s := torch.NewScope(torch.Grad)
			o := k.operands(s, 0, 1)
			bytes, tensors := torch.LiveBytes(), torch.LiveTensors()
			ours, theirs := k.step(o, fused), k.step(o, library)
			t.Logf("%v: peak %d, composition %d (x takes %d)", k, ours, theirs, o.x.Bytes())
			if ours > theirs || k.relu && ours == theirs {
				t.Errorf("%v: peak %d, composition %d", k, ours, theirs)
			}
			if b, n := torch.LiveBytes(), torch.LiveTensors(); b != bytes || n != tensors {
				t.Errorf("%v: %d bytes and %d tensors stay behind", k, b-bytes, n-tensors)
			}
			s.Close()
		}
	}
}

func TestBatchNormActRefuses(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	x, one := s.Full(torch.Float32, 1, 2, 16, 4, 4), s.Full(torch.Float32, 1, 16)
	_, gates := s.BatchNormAct(s.Full(torch.Float32, 1, 4, 16, 4, 4), one, one, one, one, torch.NormOptions{ReLU: true, Record: true})
	for name, call := range map[string]func(){
		"gates of another shape":   func() { s.BatchNormAct(x, one, one, one, one, torch.NormOptions{ReLU: true, Gates: gates}) },
		"residual of another type": func() { s.BatchNormAct(x, one, one, one, one, torch.NormOptions{Residual: s.Cast(x, torch.BFloat16)}) },
		"no statistics":            func() { s.BatchNormAct(x, one, one, torch.Tensor{}, torch.Tensor{}, torch.NormOptions{}) },
	} {
		var err error
		func() {
			defer torch.Catch(&err)
			call()
		}()
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// nothing stands in for the normalisation where the price of the loss is measured.
func nothing(s *torch.Scope, o normOperands, k torch.NormOptions) torch.Tensor { return s.Alias(o.x) }

// BenchmarkBatchNormAct reports the time of forward and backward passes, ReLU included, and its ratio to the
// composition's: medians of runs that take turns, less the loss that both share.
func BenchmarkBatchNormAct(b *testing.B) {
	defer torch.Pin()()
	for _, z := range [][3]int64{{16, 32, 32}, {32, 16, 16}, {64, 8, 8}, {128, 32, 32}} {
		for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
			for _, residual := range []bool{false, true} {
				k := normCase{dtype: dtype, n: 128, c: z[0], h: z[1], w: z[2], residual: residual, relu: true, train: true}
				b.Run(k.String(), func(b *testing.B) { k.compare(b) })
			}
		}
	}
}

func (k normCase) compare(b *testing.B) {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	o := k.operands(s, 0, 1)
	norms := [3]func(*torch.Scope, normOperands, torch.NormOptions) torch.Tensor{fused, library, nothing}
	var times [3][]float64
	for b.Loop() {
		for i, norm := range norms {
			start := time.Now()
			k.step(o, norm)
			times[i] = append(times[i], 1e3*time.Since(start).Seconds())
		}
	}
	var median [3]float64
	for i, t := range times {
		slices.Sort(t)
		median[i] = t[len(t)/2]
	}
	ours, theirs := median[0]-median[2], median[1]-median[2]
	b.ReportMetric(ours, "ms")
	b.ReportMetric(ours/theirs, "ratio")
	b.ReportMetric(0, "ns/op")
}
