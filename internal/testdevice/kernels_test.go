package testdevice_test

import (
	"strings"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// A kernel of the CPU's that is given an operand on another device says so, instead of ending the program.
func TestKernelsRefuseOtherDevices(t *testing.T) {
	here, there := torch.NewScope(torch.NoGrad), torch.NewScopeOn(torch.TestDevice, torch.NoGrad)
	defer here.Close()
	defer there.Close()
	const n, c, side = 2, 8, 6
	x, one, zero := here.Full(torch.Float32, 1, n, c, side, side), here.Full(torch.Float32, 1, c), here.Full(torch.Float32, 0, c)
	gates := there.Full(torch.Uint8, 0, (n*c*side*side+63)/64*8) // a bit an element, as the kernel records them
	choice := there.Full(torch.Uint8, 0, n, c, side/2, side/2)
	for _, tt := range []struct {
		name string
		run  func()
	}{
		{"normalisation's gates", func() {
			here.BatchNormAct(x, one, zero, zero, one, torch.NormOptions{Train: true, Eps: 1e-5, ReLU: true, Gates: gates})
		}},
		{"tangent's gates", func() { here.BatchNormActTangent(x, torch.Tensor{}, x, one, gates, 1e-5, nil) }},
		{"max pool's choice", func() { here.MaxPool2d(x, 2, 2, 0, choice) }},
		{"max pool's adjoint", func() {
			here.MaxPool2dAdjoint(here.Full(torch.Float32, 1, n, c, side/2, side/2), choice, x, 2, 2, 0)
		}},
		{"average pool's adjoint", func() {
			here.AdaptiveAvgPool2dAdjoint(there.Full(torch.Float32, 1, n, c, 2, 2), x)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			func() {
				defer torch.Catch(&err)
				tt.run()
			}()
			if want := "a kernel for the CPU was given a tensor on"; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}
