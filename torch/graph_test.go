package torch_test

import (
	"strings"
	"testing"

	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/graphtest"
)

// On a card. The test device is tested with itself, in internal/testdevice.
func TestDeviceGraphs(t *testing.T) {
	if device := nntest.Device(t); device.IsCUDA() {
		graphtest.Run(t, device)
	}
	if torch.CPU.Records() == nil {
		t.Error("the CPU records")
	}
	if _, err := torch.CPU.Record(func() {}); err == nil || !strings.Contains(err.Error(), "does not record") {
		t.Errorf("the CPU records: %v", err)
	}
}
