package torch_test

import (
	"runtime"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// What is asked for comes, as long as the system has it; what nothing can start is never waited for.
func TestSetThreadsGivesWhatComes(t *testing.T) {
	before := torch.Threads()
	defer torch.SetThreads(before)
	for _, n := range []int{1, 2, 3, 8} {
		if got := torch.SetThreads(n); got != n || torch.Threads() != n || torch.Muster(n) != n {
			t.Errorf("asked for %d threads: %d, of which %d come", n, got, torch.Muster(n))
		}
	}
	if got := torch.SetThreads(0); got < 1 || got > runtime.GOMAXPROCS(0) {
		t.Errorf("asked for none in particular: %d threads on %d cores", got, runtime.GOMAXPROCS(0))
	}
	if got := torch.SetThreads(1 << 30); got < 1 || got > 1024 {
		t.Errorf("asked for 2³⁰ threads: %d", got)
	}
}
