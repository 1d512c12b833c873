package torch_test

import (
	"os"
	"runtime"
	"testing"
	"time"

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
	if got := torch.SetThreads(1 << 30); got < 1 || got > max(64, 4*runtime.NumCPU()) {
		t.Errorf("asked for 2³⁰ threads: %d", got)
	}
}

// A team that was only counted goes home. One that stayed would count against the cores, and with more members than cores
// libgomp lets no thread of any team spin: a training step took a tenth longer.
func TestMusterLeavesNoTeam(t *testing.T) {
	count := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Skip("needs /proc:", err)
		}
		return len(tasks)
	}
	before := count()
	for range 8 {
		if came := torch.Muster(8); came != 8 {
			t.Skipf("%d threads of 8 come here", came)
		}
	}
	const ofGo = 4 // threads that the Go runtime may have started meanwhile
	for deadline := time.Now().Add(10 * time.Second); count() > before+ofGo; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d threads, before %d", count(), before)
		}
	}
}
