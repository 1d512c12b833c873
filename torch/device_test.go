package torch_test

import (
	"testing"

	"github.com/locus-learn/locus/torch"
)

func TestDevicesByName(t *testing.T) {
	for _, tt := range []struct {
		device torch.Device
		name   string
		cuda   bool
	}{
		{torch.CPU, "cpu", false},
		{torch.CUDA(0), "cuda:0", true},
		{torch.CUDA(3), "cuda:3", true},
		{torch.TestDevice, "test", false},
	} {
		if got := tt.device.String(); got != tt.name || tt.device.IsCUDA() != tt.cuda {
			t.Errorf("device %d is %q, CUDA %v, want %q, %v", int(tt.device), got, tt.device.IsCUDA(), tt.name, tt.cuda)
		}
	}
	if torch.CPU != torch.Device(0) {
		t.Error("a device that nobody chose is not the CPU")
	}
}

func TestTensorsLieWhereTheirScopeSays(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	if at := s.Full(torch.Float32, 1, 2).Device(); s.Device() != torch.CPU || at != torch.CPU {
		t.Errorf("scope on %v, its tensor on %v", s.Device(), at)
	}
	var err error
	func() {
		defer torch.Catch(&err)
		torch.NewScopeOn(torch.TestDevice, torch.NoGrad).Full(torch.Float32, 1, 2)
	}()
	if err == nil {
		t.Error("a device that nobody registered has taken a tensor")
	}
}
