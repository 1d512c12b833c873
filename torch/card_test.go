package torch_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
)

// The arithmetic of the kernels for CUDA devices, on the CPU: see testdata/card/emulate.cpp.
func TestCardKernelsEmulated(t *testing.T) {
	for _, dtype := range []string{"-DFLOAT32", "-DBF16"} {
		t.Run(dtype[2:], func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "emulate")
			args := []string{"-std=c++20", "-O1", "-pthread", dtype, "-o", program, filepath.Join("testdata", "card", "emulate.cpp")}
			if out, err := exec.Command("g++", args...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if out, err := exec.Command(program).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// They compile for the cards of data centres, without a card.
func TestCardKernelsCompile(t *testing.T) {
	for _, architecture := range []string{"sm_80", "sm_90"} {
		for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
			bytes, err := torch.CompileKernels(architecture, dtype)
			if err != nil && strings.Contains(err.Error(), "libnvrtc is not there") {
				t.Skip(err)
			}
			if err != nil || bytes == 0 {
				t.Errorf("%s, %v: %d bytes, %v", architecture, dtype, bytes, err)
			}
		}
	}
}

func TestKernelsSayWhyNot(t *testing.T) {
	if err := torch.CPU.Kernels(); err != nil {
		t.Errorf("on the CPU: %v", err)
	}
	if torch.CUDA(0).Available() == nil {
		t.Skip("there is a card")
	}
	if torch.CUDA(0).Kernels() == nil {
		t.Error("without a card the kernels run there")
	}
}

// normResults are a normalisation's output, gradients and running statistics, and its tangent's output and gradients.
func normResults(device torch.Device, k normCase) (names []string, values []torch.Tensor, s *torch.Scope) {
	s = torch.NewScopeOn(device, torch.Grad)
	o := tangentOperands{normOperands: k.operands(s, 0.5, 2), along: k.direction(s, 8)}
	if k.residual {
		o.beside = k.direction(s, 9)
	}
	options := k.options(o.normOperands)
	options.Record = k.relu
	y, gates := s.BatchNormAct(o.x, o.w, o.b, o.mean, o.variance, options)
	add := func(name string, t ...torch.Tensor) {
		for i, v := range t {
			names, values = append(names, fmt.Sprint(name, " ", i)), append(values, v)
		}
	}
	add("y", y)
	add("gradient", s.Grad(loss(s, y, o.normOperands), o.normOperands.inputs(), torch.GradOptions{})...)
	add("running statistics", o.mean, o.variance)
	if k.train {
		o.gates = gates
		z := o.tangent(s)
		add("tangent", z)
		add("tangent's gradient", s.Grad(loss(s, z, o.normOperands), o.inputs(), torch.GradOptions{})...)
	}
	return names, values, s
}

// On a card the kernels have the CPU's results, and the same bits every time.
func TestDeviceNormKernels(t *testing.T) {
	device := nntest.Device(t)
	if !device.IsCUDA() {
		t.Skip("LOCUS_TEST_DEVICE is no CUDA device")
	}
	if err := device.Kernels(); err != nil {
		t.Fatal(err)
	}
	for _, z := range [][4]int64{{8, 64, 17, 17}, {3, 24, 5, 7}, {2, 2048, 3, 3}, {16, 16, 32, 32}, {5, 8, 1, 1}} {
		for flags := range 8 {
			for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
				k := normCase{dtype: dtype, n: z[0], c: z[1], h: z[2], w: z[3], residual: flags&1 != 0, relu: flags&2 != 0, train: flags&4 != 0}
				t.Run(k.String(), func(t *testing.T) {
					names, want, here := normResults(torch.CPU, k)
					_, got, there := normResults(device, k)
					_, again, once := normResults(device, k)
					for _, s := range []*torch.Scope{here, there, once} {
						defer s.Close()
					}
					for i, name := range names {
						if d := relativeDistance(got[i].Float64s(), want[i].Float64s()); d > 4*tolerance(dtype) {
							t.Errorf("%s differs by %.1e", name, d)
						}
						if !slices.Equal(got[i].Data(), again[i].Data()) {
							t.Errorf("%s is not the same twice", name)
						}
					}
				})
			}
		}
	}
}

// On a card max pools have the CPU's results to the last bit, and choices of a byte where kernels of ours take the channels.
func TestDevicePoolKernels(t *testing.T) {
	device := nntest.Device(t)
	if !device.IsCUDA() {
		t.Skip("LOCUS_TEST_DEVICE is no CUDA device")
	}
	results := func(s *torch.Scope, g window, dtype torch.DType, nchw bool) (choice torch.Tensor, values []torch.Tensor) {
		oh, ow := g.outputs()
		operand := func(seed uint64, h, w int64) torch.Tensor { return maps(s, dtype, nchw, seed, g.n, g.c, h, w) }
		x, other := operand(1, g.h, g.w).SetRequiresGrad(true), operand(2, g.h, g.w).SetRequiresGrad(true)
		r, q := operand(3, oh, ow), operand(4, g.h, g.w)
		y, choice := s.MaxPool2d(x, g.k, g.stride, g.padding, torch.Tensor{})
		z, _ := s.MaxPool2d(other, g.k, g.stride, g.padding, choice)
		grad := s.Grad(s.Sum(s.Mul(s.Mul(z, z), r)), []torch.Tensor{other}, torch.GradOptions{CreateGraph: true})[0]
		return choice, []torch.Tensor{
			y, z, grad, s.Grad(s.Sum(s.Mul(y, r)), []torch.Tensor{x}, torch.GradOptions{})[0],
			s.Grad(s.Sum(s.Mul(grad, q)), []torch.Tensor{other}, torch.GradOptions{})[0],
		}
	}
	for _, g := range append(slices.Clone(windows), window{3, 24, 7, 9, 3, 2, 1}, window{2, 520, 5, 4, 2, 2, 0}, window{1, 8, 40, 40, 16, 3, 4}) {
		t.Run(g.String(), func(t *testing.T) {
			forEachLayout(t, func(t *testing.T, dtype torch.DType, nchw bool) {
				here, there := torch.NewScope(torch.Grad), torch.NewScopeOn(device, torch.Grad)
				defer here.Close()
				defer there.Close()
				_, want := results(here, g, dtype, nchw)
				choice, got := results(there, g, dtype, nchw)
				for i := range want {
					equal(t, fmt.Sprint("result ", i), got[i], want[i].Float64s())
				}
				oh, ow := g.outputs()
				if small := dtype != torch.Float64 && g.c%8 == 0 && g.k <= 16; small && choice.Bytes() != g.n*g.c*oh*ow {
					t.Errorf("a choice takes %d bytes for %d windows", choice.Bytes(), g.n*g.c*oh*ow)
				}
			})
		})
	}
}
