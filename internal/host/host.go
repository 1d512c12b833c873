// Package host knows what a process finds around it before the engine computes: how many threads it was told to use, and
// which matrix kernels its processor can run.
package host

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"
)

// Threads returns how many threads a computation should use where nobody asked for a number: the first number of
// OMP_NUM_THREADS, but not more than there are cores; without that variable, or with one that is no number, all cores.
func Threads(cores int) int {
	first, _, _ := strings.Cut(os.Getenv("OMP_NUM_THREADS"), ",")
	if n, err := strconv.Atoi(strings.TrimSpace(first)); err == nil && n > 0 {
		return min(n, cores)
	}
	return cores
}

// Environment variables that OpenBLAS reads once, when it is loaded.
const (
	CoreType = "OPENBLAS_CORETYPE"
)

// Features are the vector instructions that decide between OpenBLAS's kernels. The operating system allows them, too.
type Features struct {
	AVX2   bool // with FMA
	AVX512 bool // F, BW, DQ, CD and VL
}

// Processor returns what this machine's processor has; on one that is no x86 it is empty.
func Processor() Features {
	x := &cpu.X86
	return Features{
		AVX2:   x.HasAVX2 && x.HasFMA,
		AVX512: x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512CD && x.HasAVX512VL,
	}
}

// Kernels of OpenBLAS, by the names that openblas_get_corename returns, which know AVX-512 or AVX2.
var (
	wide  = []string{"skylakex", "cooperlake", "sapphirerapids"}
	wider = []string{"haswell", "zen", "excavator"} // of 256 bits
)

// Kernel returns the core type that OpenBLAS should take where it runs the named kernel on a processor with these
// features, "" where its own choice is good. OpenBLAS falls back to kernels of 2004 on a processor newer than itself.
func Kernel(running string, f Features) string {
	name := strings.ToLower(running)
	switch {
	case name == "" || slices.Contains(wide, name):
		return ""
	case f.AVX512:
		return "SkylakeX"
	case f.AVX2 && !slices.Contains(wider, name):
		return "Haswell"
	}
	return ""
}

// Slow reports whether the kernel that runs makes matrix products several times slower than the processor could: a
// kernel of 256 bits on a processor of 512 is within a factor of two and not called slow.
func Slow(running string, f Features) bool {
	return Kernel(running, f) != "" && !slices.Contains(wider, strings.ToLower(running))
}

// Favour returns the assignment NAME=VALUE that a process must be started with, so that its OpenBLAS takes good kernels;
// "" where nothing is to be done or the user has chosen. running is the kernel that OpenBLAS chose here.
func Favour(running string, f Features) string {
	if _, chosen := os.LookupEnv(CoreType); chosen || !Slow(running, f) {
		return ""
	}
	return CoreType + "=" + Kernel(running, f)
}
