package cli

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"github.com/locus-learn/locus/internal/host"
	"github.com/locus-learn/locus/torch"
)

// favour starts the program anew where OpenBLAS has taken kernels far below what the processor can do. It chooses when it
// is loaded, which is before the first line of a program that is linked to libtorch; one that loads libtorch later chooses
// then. Where that fails the program goes on, slowly, and doctor says so.
func favour() {
	if !torch.Loaded() {
		return
	}
	set := host.Favour(torch.Describe().Kernel, host.Processor())
	if set == "" {
		return
	}
	if program, err := os.Executable(); err == nil {
		_ = syscall.Exec(program, os.Args, append(os.Environ(), set))
	}
}

// warnOfThreads says what a number of threads other than the one asked for, or above the cores, means for a run; 0 asks for
// none in particular.
func warnOfThreads(asked int, notice func(string)) {
	cores, got := runtime.GOMAXPROCS(0), torch.Threads()
	switch {
	case asked > got:
		notice(fmt.Sprintf("threads is %d: this process gets %d; a team has at most 4 a core, or 64, and what limits on threads allow", asked, got))
	case got > cores:
		notice(fmt.Sprintf("threads is %d on %d cores: they wait for each other, and a step can take many times as long", asked, cores))
	}
}

// examineTeam calls the threads together that operations use.
func examineTeam(threads int) finding {
	f := finding{"threads", fmt.Sprintf("%d on %d cores", threads, runtime.NumCPU()), ""}
	if limit := os.Getenv("OMP_NUM_THREADS"); limit != "" {
		f.text += ", OMP_NUM_THREADS=" + limit
	}
	switch came := torch.Muster(threads); {
	case came < threads:
		f.hint = fmt.Sprintf("only %d came when they were called; look for OMP_ in the environment", came)
	case threads > runtime.NumCPU():
		f.hint = "they wait for each other; OMP_NUM_THREADS, or threads=, should be at most the cores"
	case threads < min(2, runtime.GOMAXPROCS(0)):
		f.hint = "more would be faster; OMP_NUM_THREADS, OMP_THREAD_LIMIT or a limit on processes allows no more"
	}
	return f
}

// examineKernel looks at the processor that OpenBLAS's matrix products are written for.
func examineKernel(kernel string, has host.Features) []finding {
	if kernel == "" {
		return nil
	}
	f := finding{"kernels", "matrix products for " + kernel, ""}
	if better := host.Kernel(kernel, has); host.Slow(kernel, has) {
		f.hint = fmt.Sprintf("several times slower than this processor can; start with %s=%s", host.CoreType, better)
	}
	return []finding{f}
}
