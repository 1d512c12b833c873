package local_test

import (
	"os"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// The networks of these tests are too small to share among threads, which would spend their time waiting for each other.
func TestMain(m *testing.M) {
	torch.SetThreads(1)
	os.Exit(m.Run())
}
