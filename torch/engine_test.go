package torch_test

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/locus-learn/locus/torch"
)

// parallel runs operations that libtorch shares out among threads, forward and backward.
func parallel(t *testing.T) {
	t.Helper()
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	x := s.Full(torch.Float32, 1, 64, 8, 32, 32)
	w := s.Full(torch.Float32, 0.1, 8, 8, 3, 3).SetRequiresGrad(true)
	y := s.Sum(s.ReLU(s.Conv2d(x, w, torch.Tensor{}, 1, 1)))
	s.Grad(y, []torch.Tensor{w}, torch.GradOptions{})
}

// on runs f in a goroutine whose thread ends with it.
func on(f func()) {
	var wg sync.WaitGroup
	wg.Go(f)
	wg.Wait()
}

func TestPinTeam(t *testing.T) {
	defer torch.Pin()()
	defer torch.SetThreads(0)
	torch.SetThreads(3)
	for _, n := range []int{1, 2, 5} {
		on(func() {
			torch.PinTeam(n)
			for range 2 { // the second time after libtorch has set up the thread
				if got := torch.Threads(); got != n {
					t.Errorf("the worker has %d threads, want %d", got, n)
				}
				parallel(t)
			}
		})
		parallel(t)
		if got := torch.Threads(); got != 3 {
			t.Errorf("beside a worker of %d, the process has %d threads, want 3", n, got)
		}
	}
}

// A thread that has computed before learns of a change made on another one.
func TestSetThreadsReachesAllThreads(t *testing.T) {
	defer torch.Pin()()
	defer torch.SetThreads(0)
	for _, n := range []int{3, 1, 2} {
		on(func() { torch.SetThreads(n) })
		parallel(t)
		if got := torch.Threads(); got != n {
			t.Errorf("%d threads, want %d", got, n)
		}
	}
}

// What OpenMP makes of the number: a team of n is n − 1 new threads. Go's runtime starts threads, too, and those of the
// previous worker may still be ending, hence the tries. On a busy machine that goes wrong in half of them.
func TestPinTeamIsTheTeam(t *testing.T) {
	defer torch.SetThreads(0)
	torch.SetThreads(3)
	for _, n := range []int{1, 6} {
		const tries, enough = 10, 3
		var grown []int
		right := 0
		for range tries {
			time.Sleep(20 * time.Millisecond) // for the team before to end
			on(func() {
				torch.PinTeam(n)
				before := tasks(t)
				parallel(t)
				grown = append(grown, tasks(t)-before)
			})
			if grown[len(grown)-1] == n-1 {
				right++
			}
		}
		if right < enough {
			t.Errorf("a team of %d has started %v threads in %d tries: want %d in %d of them", n, grown, tries, n-1, enough)
		}
	}
}

// An OpenBLAS with threads of its own fights libtorch's team for the cores.
func TestMatrixProductsShareTheTeam(t *testing.T) {
	if blas := torch.Describe().BLAS; strings.HasPrefix(blas, "OpenBLAS") && !strings.Contains(blas, "USE_OPENMP") {
		t.Errorf("the BLAS is %q: want one on OpenMP; scripts/setup.sh installs libopenblas0-openmp", blas)
	}
}

func TestPinTeamEndsWithItsGoroutine(t *testing.T) {
	const workers = 20
	before := tasks(t)
	for range workers {
		on(func() {
			torch.PinTeam(3)
			parallel(t)
		})
	}
	if more := tasks(t) - before; more >= workers {
		t.Errorf("%d workers, one after the other, have left %d threads", workers, more)
	}
}

// tasks counts the threads of the process.
func tasks(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skip(err)
	}
	return len(entries)
}
