package torch_test

import (
	"os"
	"os/exec"
	"testing"
)

// What takes over where kernels of ours do not fit has their values, their gradients, and their economy: it makes again what
// it does not keep. One process has one way to compute, so the tests run once more in another.
func TestWithoutKernels(t *testing.T) {
	if os.Getenv("LOCUS_KERNELS") == "off" {
		t.Skip("this is that process")
	}
	cmd := exec.Command(os.Args[0], "-test.run="+
		"^TestBatchNormAct(Agrees|DecidesAgain|Replays|Statistics|ShowsNaN|Twice|LeavesSharedGradients|Refuses)$|"+
		"^TestBatchNormTangent|^TestRemaking|^TestWhatIsNotRemade$|^TestMaxPool(ShowsNaN|Refuses)?$|^TestAvgPool|^TestMoveRows$|^TestDeviceOperations$")
	cmd.Env = append(os.Environ(), "LOCUS_KERNELS=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
