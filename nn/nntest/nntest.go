// Package nntest holds layers and tensors to golden values, which golden.py and the scripts in testdata folders make
// with PyTorch.
package nntest

import (
	"cmp"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
)

// Device is where layers and goldens are tried: the environment variable LOCUS_TEST_DEVICE names it, and else it is the CPU.
// A machine with a card runs the same tests with "cuda".
func Device(t testing.TB) torch.Device {
	t.Helper()
	name := cmp.Or(os.Getenv("LOCUS_TEST_DEVICE"), "cpu")
	device, err := torch.ParseDevice(name)
	if err == nil {
		err = device.Available()
	}
	if err != nil {
		t.Fatalf("LOCUS_TEST_DEVICE is %s: %v", name, err)
	}
	torch.SetArithmetic(torch.Arithmetic{Deterministic: true})
	return device
}

// Golden is the tensors of a file by name.
type Golden map[string]torch.Tensor

// Open reads the file at path into s, on [Device], images channels-last as networks get them.
func Open(t testing.TB, s *torch.Scope, path string) Golden {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g, there := Golden{}, torch.NewScopeOn(Device(t), torch.NoGrad)
	defer there.Close()
	for _, name := range f.Names() {
		data, err := f.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := f.Info(name)
		dtype, ok := torch.DTypeByCode(string(info.DType))
		if !ok {
			t.Fatalf("%s: tensor %s is of type %s", path, name, info.DType)
		}
		v := there.FromBytes(dtype, data, info.Shape...)
		if len(info.Shape) == 4 {
			v = there.ChannelsLast(v)
		}
		g[name] = s.Adopt(v)
	}
	return g
}

// Get returns the tensor of that name; the test ends where there is none.
func (g Golden) Get(t testing.TB, name string) torch.Tensor {
	t.Helper()
	v, ok := g[name]
	if !ok {
		t.Fatalf("there is no golden %q", name)
	}
	return v
}

// Load overwrites parameters and buffers by the goldens whose names are theirs behind prefix.
func (g Golden) Load(t testing.TB, prefix string, params []*nn.Param) {
	t.Helper()
	for _, p := range params {
		p.Value.Copy(g.Get(t, prefix+p.Name))
	}
}

// Case names one layer in a file of goldens.
type Case struct {
	Name  string
	Layer nn.Layer
	Eval  bool
}

// Tolerance of float32 against PyTorch's, whose sums run in another order.
const Tolerance = 1e-4

// Check holds output, gradients and running statistics of a layer to the goldens, for the loss sum(out·probe).
func (g Golden) Check(t testing.TB, c Case) {
	t.Helper()
	s := torch.NewScopeOn(Device(t), torch.Grad)
	defer s.Close()
	params := nn.Params(c.Layer)
	g.Load(t, c.Name+"|param|", params)
	x := s.Alias(g.Get(t, c.Name+"|in")).SetRequiresGrad(true)
	p := nn.Evaluate(s, torch.Float32)
	p.Train = !c.Eval
	// A copy: layers that overwrite their input need one that is not a leaf of the graph.
	out := c.Layer.Forward(p, s.Clone(x))
	wrt := append(nn.Trainable(params), x)
	grads := s.Grad(s.Sum(s.Mul(out, g.Get(t, c.Name+"|probe"))), wrt, torch.GradOptions{})
	worst := Close(t, "output", out, g.Get(t, c.Name+"|out"), Tolerance)
	worst = max(worst, Close(t, "input gradient", grads[len(grads)-1], g.Get(t, c.Name+"|grad_in"), Tolerance))
	var checked int
	for _, param := range params {
		if !param.Trainable {
			worst = max(worst, Close(t, param.Name, param.Value, g.Get(t, c.Name+"|after|"+param.Name), Tolerance))
			continue
		}
		worst = max(worst, Close(t, param.Name, grads[checked], g.Get(t, c.Name+"|grad|"+param.Name), Tolerance))
		checked++
	}
	for name := range g {
		if strings.HasPrefix(name, c.Name+"|grad|") {
			checked--
		}
	}
	if checked != 0 {
		t.Errorf("%s: %d parameters more than PyTorch's", c.Name, checked)
	}
	t.Logf("worst relative error %.1e", worst)
}

// Close fails the test where got differs from want by more than tol: of want's norm as a whole, or in one element
// of that element and want's root mean square together. It returns ‖got − want‖/‖want‖.
func Close(t testing.TB, name string, got, want torch.Tensor, tol float64) float64 {
	t.Helper()
	if !got.Defined() {
		t.Errorf("%s: there is none", name)
		return math.Inf(1)
	}
	a, b := got.Float64s(), want.Float64s()
	if len(a) != len(b) {
		t.Errorf("%s: is %v, want %v", name, got, want)
		return math.Inf(1)
	}
	norm := Norm(b)
	rms := norm / math.Sqrt(float64(len(b)))
	for i := range a {
		if !(math.Abs(a[i]-b[i]) <= tol*(math.Abs(b[i])+rms)) {
			t.Errorf("%s: element %d is %g, want %g", name, i, a[i], b[i])
			break
		}
	}
	relative := RelativeError(a, b)
	if !(relative <= tol) {
		t.Errorf("%s: relative error %.2e, want at most %.0e", name, relative, tol)
	}
	return relative
}

// Norm returns ‖v‖.
func Norm(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}

// RelativeError returns ‖a − b‖/‖b‖, and 0 for equal vectors of zeros.
func RelativeError(a, b []float64) float64 {
	diff := make([]float64, len(a))
	for i := range a {
		diff[i] = a[i] - b[i]
	}
	if d := Norm(diff); d != 0 {
		return d / Norm(b)
	}
	return 0
}
