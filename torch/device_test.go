package torch_test

import (
	"strings"
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
		torch.TestDevice.Scope(torch.NoGrad).Full(torch.Float32, 1, 2)
	}()
	if err == nil {
		t.Error("a device that nobody registered has taken a tensor")
	}
}

func TestParseDevice(t *testing.T) {
	for name, want := range map[string]torch.Device{
		"cpu": torch.CPU, "cuda": torch.CUDA(0), "cuda:0": torch.CUDA(0), "cuda:7": torch.CUDA(7), "cuda:127": torch.CUDA(127),
	} {
		if got, err := torch.ParseDevice(name); err != nil || got != want {
			t.Errorf("%s is %v, error %v, want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:+1", "cuda: 1", "cuda:1.0", "cuda:128", "cuda0", "test", "7"} {
		if got, err := torch.ParseDevice(name); err == nil {
			t.Errorf("%q is taken for %v", name, got)
		}
	}
}

// A device that the process does not have is refused before anything is made on it, in one line that says why.
func TestUnavailableDevices(t *testing.T) {
	if err := torch.CPU.Available(); err != nil {
		t.Errorf("the CPU: %v", err)
	}
	l := torch.DescribeCUDA()
	err := torch.CUDA(len(l.Cards)).Available()
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Fatalf("beyond the last of %d cards: error %v", len(l.Cards), err)
	}
	if len(l.Cards) == 0 && err.Error() != l.Problem {
		t.Errorf("error %q, described as %q", err, l.Problem)
	}
}

// The kind of an error comes from the exception's type, not from its words.
func TestErrorKinds(t *testing.T) {
	for _, tt := range []struct {
		name string
		kind torch.Kind
		do   func(s *torch.Scope)
	}{
		{"memory", torch.OutOfMemory, func(s *torch.Scope) { s.Full(torch.Uint8, 0, 1<<50) }},
		{"shapes", torch.Other, func(s *torch.Scope) {
			s.Linear(s.Full(torch.Float32, 0, 2, 3), s.Full(torch.Float32, 0, 2, 4), torch.Tensor{})
		}},
		{"device", torch.Unsupported, func(*torch.Scope) { torch.NewScopeOn(torch.TestDevice, torch.NoGrad).Full(torch.Float32, 1, 2) }},
	} {
		var err error
		func() {
			defer torch.Catch(&err)
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			tt.do(s)
		}()
		if e, ok := err.(*torch.Error); !ok || e.Kind != tt.kind {
			t.Errorf("%s: error %v of kind %v, want kind %v", tt.name, err, e.Kind, tt.kind)
		}
	}
}
