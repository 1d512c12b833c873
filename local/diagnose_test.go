package local_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

var rawTerm = &local.Reconcile{Reduction: local.Sum}

// probed takes a step with a probe around it, learning from batch 50 and held out batch 60.
func probed(t *testing.T, c *local.Chain, lr float64) local.Diagnosis {
	t.Helper()
	at := local.Tick{Step: 5, LR: lr}
	p, err := local.NewProbe(c, batchOf(c, 60), batchOf(c, 50), at, rawTerm)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Free()
	b := batchOf(c, 50)
	if _, err := c.Step(b.X, b.Y, at); err != nil {
		t.Fatal(err)
	}
	if err := p.After(); err != nil {
		t.Fatal(err)
	}
	return p.Diagnosis
}

func batchOf(c *local.Chain, seed uint64) local.Signal {
	x, y := randomBatch(c.DType, seed)
	return local.Signal{X: x, Y: y}
}

func near(a, b, tolerance float64) bool {
	return math.Abs(a-b) <= tolerance*max(math.Abs(a), math.Abs(b))
}

// uncut returns the gradients of an objective with respect to the body of module k, by back-propagation from module of.
func uncut(c *local.Chain, b local.Signal, k, of int) (grads []float64, features [][]float64) {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	p := nn.Repeat(s, c.DType, nil)
	x := s.Alias(b.X)
	for i, m := range c.Modules()[:of+1] {
		x = m.Body.Forward(p, x)
		features = append(features, x.Float64s())
		if i == of {
			loss := p.CrossEntropy(m.Head.Forward(p, x), b.Y, 0)
			for _, g := range s.Grad(loss, nn.Trainable(nn.Params(c.Modules()[k].Body)), torch.GradOptions{}) {
				grads = append(grads, g.Float64s()...)
			}
		}
	}
	return grads, features
}

func TestDiagnosisAgainstTheUncutNetwork(t *testing.T) {
	for _, method := range []string{"layerwise", "sgr"} {
		t.Run(method, func(t *testing.T) {
			o := sgr("auto")
			o.Name = method
			c := chain(t, resnet, o, torch.Float64)
			train(t, c, 3)
			held := batchOf(c, 60)
			defer held.Free()
			type want struct{ epsilon, norm, cos, gap float64 }
			var wants []want
			for k := range 3 {
				own, _ := uncut(c, held, k, k)
				global, _ := uncut(c, held, k, 2)
				var w want
				w.epsilon, w.norm = nntest.Norm(minus(own, global)), nntest.Norm(global)
				w.cos, _ = cosine(own, global)
				if k < 2 {
					next, _ := uncut(c, held, k, k+1)
					w.gap = nntest.Norm(minus(next, own))
				}
				wants = append(wants, w)
			}
			d := probed(t, c, 0.1)
			for k, w := range wants[:2] {
				if !near(d.Epsilon[k], w.epsilon, 1e-9) || !near(d.GlobalNorm[k], w.norm, 1e-9) || !near(d.GlobalCos[k], w.cos, 1e-9) {
					t.Errorf("module %d: ‖ε‖ %v, norm %v, cosine %v, want %+v", k+1, d.Epsilon[k], d.GlobalNorm[k], d.GlobalCos[k], w)
				}
				if !near(d.Gap[k], w.gap, 1e-9) || d.Gap[k] > d.Bound[k] || !(d.Gap[k] > 0) {
					t.Errorf("module %d: gap %v, want %v and at most the bound %v", k+1, d.Gap[k], w.gap, d.Bound[k])
				}
				if !(d.SGR[k+1] > 0) || math.Abs(d.Cos[k+1]) > 1 {
					t.Errorf("module %d: S %v, cosine %v", k+2, d.SGR[k+1], d.Cos[k+1])
				}
			}
			if d.Epsilon[2] > 1e-12*d.GlobalNorm[2] || !near(d.GlobalCos[2], 1, 1e-12) {
				t.Errorf("last module: ‖ε‖ %v, cosine %v, want 0 and 1", d.Epsilon[2], d.GlobalCos[2])
			}
			for name, v := range map[string]float64{"S": d.SGR[0], "cosine": d.Cos[0], "ΔL": d.Shift[0], "gap": d.Gap[2], "bound": d.Bound[2]} {
				if !math.IsNaN(v) {
					t.Errorf("%s has no neighbour there and is %v", name, v)
				}
			}
		})
	}
}

// The bound must be that of the Jacobian itself: built row by row for a small net, its norm by another iteration.
func TestBoundHasTheJacobiansNorm(t *testing.T) {
	c := chain(t, mlp, method.Options{Name: "layerwise", Modules: 2}, torch.Float64)
	held := batchOf(c, 60)
	m := c.Modules()[0]
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	defer held.Free()
	p := nn.Repeat(s, torch.Float64, nil)
	x1 := m.Body.Forward(p, s.Alias(held.X))
	shape := x1.Shape()
	var jacobian [][]float64
	for i := range int(x1.Numel()) {
		unit := make([]float64, x1.Numel())
		unit[i] = 1
		var row []float64
		for _, g := range s.Grad(x1, nn.Trainable(nn.Params(m.Body)), torch.GradOptions{Output: s.FromDoubles(unit, shape...), Retain: true}) {
			row = append(row, g.Float64s()...)
		}
		jacobian = append(jacobian, row)
	}
	want := spectralNorm(jacobian)
	d := probed(t, c, 0)
	length := math.Sqrt(d.SGR[1]) // raw and summed, S is ‖δ − r‖²
	if got := d.Bound[0] / length; got > want*(1+1e-9) || got < 0.9*want {
		t.Errorf("the norm of J is found as %v, want %v or a little less", got, want)
	}
	if d.Gap[0] > d.Bound[0]*(1+1e-9) {
		t.Errorf("gap %v is above the bound %v", d.Gap[0], d.Bound[0])
	}
}

// spectralNorm is the largest singular value, by many steps of power iteration.
func spectralNorm(rows [][]float64) (sigma float64) {
	v := make([]float64, len(rows[0]))
	for i := range v {
		v[i] = math.Sin(float64(i + 1))
	}
	for range 2000 {
		n := nntest.Norm(v)
		next := make([]float64, len(v))
		var square float64
		for _, row := range rows {
			var dot float64
			for j := range row {
				dot += row[j] * v[j] / n
			}
			square += dot * dot
			for j := range row {
				next[j] += dot * row[j]
			}
		}
		sigma, v = math.Sqrt(square), next
	}
	return sigma
}

// ΔL_k by running everything again: module k of before the step behind the modules of after it.
func TestShiftIsTheLossOnTheUpdatedInput(t *testing.T) {
	o := method.Options{Name: "layerwise", Modules: 3}
	old, c := chain(t, resnet, o, torch.Float64), chain(t, resnet, o, torch.Float64)
	train(t, old, 2)
	train(t, c, 2)
	d := probed(t, c, 0.1)
	loss := func(front, own *local.Chain, k int, b local.Signal) float64 {
		s := torch.NewScope(torch.NoGrad)
		defer s.Close()
		p := nn.Repeat(s, torch.Float64, nil)
		x := s.Alias(b.X)
		for _, m := range front.Modules()[:k] {
			x = m.Body.Forward(p, x)
		}
		m := own.Modules()[k]
		return p.CrossEntropy(m.Head.Forward(p, m.Body.Forward(p, x)), b.Y, 0).Item()
	}
	for seed, got := range map[uint64][]float64{60: d.Shift, 50: d.ShiftTrain} {
		b := batchOf(c, seed)
		for k := 1; k < 3; k++ {
			want := loss(c, old, k, b) - loss(old, old, k, b)
			if math.Abs(got[k]-want) > 1e-12 || want == 0 {
				t.Errorf("batch %d: ΔL of module %d is %v, want %v", seed, k+1, got[k], want)
			}
		}
		b.Free()
	}
	if still := probed(t, c, 0); still.Shift[1] != 0 || still.Shift[2] != 0 {
		t.Errorf("a step of rate 0 shifts losses by %v", still.Shift)
	}
}

// Global back-propagation has nothing to reconcile.
func TestNoEpsilonInOneModule(t *testing.T) {
	c := chain(t, resnet, method.Options{Name: "bp", Modules: 1}, torch.Float32)
	d := probed(t, c, 0.1)
	if d.Epsilon[0] > 1e-6*d.GlobalNorm[0] || !near(d.GlobalCos[0], 1, 1e-6) || !(d.GlobalNorm[0] > 0) {
		t.Errorf("‖ε‖ = %v of %v, cosine %v", d.Epsilon[0], d.GlobalNorm[0], d.GlobalCos[0])
	}
}

// Within-class scatter by distances between pairs, which need no means.
func TestSeparability(t *testing.T) {
	c := chain(t, resnet, method.Options{Name: "layerwise", Modules: 3}, torch.Float64)
	held := batchOf(c, 60)
	defer held.Free()
	labels := held.Y.Float64s()
	_, features := uncut(c, held, 2, 2)
	d := probed(t, c, 0)
	shapes := []struct{ c, positions int }{{4, 64}, {8, 16}, {16, 4}}
	for k, shape := range shapes {
		pool := func(i, channel int) (mean float64) {
			for q := range shape.positions {
				mean += features[k][(i*shape.c+channel)*shape.positions+q] / float64(shape.positions)
			}
			return mean
		}
		count := map[float64]float64{}
		for _, l := range labels {
			count[l]++
		}
		var within, total float64
		for i := range labels {
			for j := range labels {
				var square float64
				for ch := range shape.c {
					diff := pool(i, ch) - pool(j, ch)
					square += diff * diff
				}
				total += square / (2 * batch)
				if labels[i] == labels[j] {
					within += square / (2 * count[labels[i]])
				}
			}
		}
		if want := within / (total - within); math.Abs(d.Within[k]-want) > 1e-9*max(want, 1) {
			t.Errorf("module %d: within over between is %v, want %v", k+1, d.Within[k], want)
		}
	}
}

// Every method can be probed; a probe changes nothing, finds the same again and leaves no tensor.
func TestProbeLeavesNoTrace(t *testing.T) {
	for _, how := range method.All() {
		t.Run(how.Name, func(t *testing.T) {
			o := method.Options{Name: how.Name, Modules: 3, Lambda: 1, Reduction: "batch", Normalize: true, Gradient: "auto", Every: 1, Feedback: 1, OutputError: "second"}
			net := resnet
			if rule, _ := how.Compose(o); rule.Views > 1 {
				t.Skip("learns without labels: train refuses to diagnose it")
			}
			if how.Cut == method.Everywhere {
				net = zoo.Options{Name: "plain7", Depth: 4, Width: 4}
			}
			how, o, err := method.Lookup(o)
			if err != nil {
				t.Fatal(err)
			}
			make := func() *local.Chain {
				head := zoo.HeadOptions{Name: "conv", Width: 8}
				return compose(assemble(t, net, how, o.Modules, head), how, o, torch.Float32)
			}
			plain, c := make(), make()
			train(t, plain, 2)
			train(t, c, 2)
			tensors := torch.LiveTensors()
			b := batchOf(plain, 50)
			if _, err := plain.Step(b.X, b.Y, local.Tick{Step: 5, LR: 0.1}); err != nil {
				t.Fatal(err)
			}
			d := probed(t, c, 0.1)
			if diff := cmp.Diff(stateOf(plain.Modules()...), stateOf(c.Modules()...)); diff != "" {
				t.Error("the probe changes what is learned")
			}
			if n := torch.LiveTensors() - tensors; n != 0 {
				t.Errorf("%d tensors are left", n)
			}
			last := len(d.Loss) - 1
			if math.IsNaN(d.Loss[last]) || math.IsNaN(d.GlobalCos[0]) || math.IsNaN(d.Within[0]) {
				t.Errorf("not measured: %+v", d)
			}
			if own := how.Claims.Descends && last > 0; own && (math.IsNaN(d.Shift[last]) || math.IsNaN(d.Cos[last]) || d.Gap[0] > d.Bound[0]*1.001) {
				t.Errorf("a method of local losses: %+v", d)
			}
		})
	}
}
