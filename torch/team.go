package torch

/*
void lt_steady_team(void);         // of the calling OS thread
int lt_thread_limit(void);
int lt_spare_threads(int most);    // how many threads, up to most, the system lets start beside those that run
int lt_muster(int n);              // how many of a team of n come
const char* lt_blas_kernel(void);  // "" where it is not OpenBLAS
*/
import "C"

import (
	"runtime"

	"github.com/locus-learn/locus/internal/host"
)

// most returns how many threads the largest team has that is tried: 4 a core, and 64 on a small machine, so that a run
// from a larger one can be repeated. Teams far above the cores only wait for each other, for minutes when one is called.
func most() int { return max(64, 4*runtime.NumCPU()) }

// reserve is how many threads the process must be able to start beside its team: the Go runtime ends a process that
// needs a thread and gets none, and so does OpenMP.
const reserve = 6

// bounded returns how many threads a team of n can have on this machine: at most [most], and as many as OMP_THREAD_LIMIT
// and the limit on the number of processes allow. n <= 0 asks for as many as OMP_NUM_THREADS says, or for all cores.
func bounded(n int) int {
	if n <= 0 {
		n = host.Threads(runtime.GOMAXPROCS(0))
	}
	n = min(n, most(), int(C.lt_thread_limit()))
	if n < 2 {
		return max(1, n)
	}
	spare := int(C.lt_spare_threads(C.int(n - 1 + reserve)))
	return max(1, min(n, 1+spare-reserve))
}

// steady undoes, for the calling thread, settings of the environment under which teams come with fewer members than asked.
func steady() { C.lt_steady_team() }

// kernel names the processor that OpenBLAS's products are written for.
func kernel() string { return C.GoString(C.lt_blas_kernel()) }

// Muster calls a team together, lets it go, and returns how many threads came, of n that were asked for. With fewer than n,
// a matrix product of n threads would wait for ever.
func Muster(n int) int { return int(C.lt_muster(C.int(n))) }
