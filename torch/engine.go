// Package torch binds the part of libtorch that Locus needs: tensors, layers' operations, autograd, a memory meter.
//
// It and torch/dist, where processes talk, are the only packages that import "C". Its contracts:
//
//   - A [Tensor] is owned by a [Scope] and freed when the scope closes, or earlier by [Tensor.Free]; [Tensor.Keep]
//     takes it out of its scope. There are no finalizers: memory is freed at a known line.
//   - Grad mode belongs to the scope and travels with every call, because libtorch keeps it per thread while
//     goroutines move between threads. So does randomness: a seed is an argument.
//   - An operation that libtorch refuses panics with [*Error]. [Catch] turns that into an error at one border.
//   - Long-lived goroutines that call operations pin their thread with [Pin]: each thread that ever calls in grows
//     an OpenMP team of its own.
package torch

/*
// Debug information of libtorch's headers would take a third of the compiler's time.
#cgo CXXFLAGS: -g0
#cgo CXXFLAGS: -std=c++20 -O3 -fopenmp-simd -I/usr/include/torch/csrc/api/include
#cgo LDFLAGS: -ldl
#cgo !lazyengine LDFLAGS: -ltorch_cpu -lc10
// Debian's OpenBLAS on libtorch's own OpenMP team, whatever the system's default BLAS is. Another one's threads spin
// against the team's. An rpath of the older kind holds for what libtorch loads, too.
#cgo linux,amd64 LDFLAGS: -Wl,--disable-new-dtags -Wl,-rpath,/usr/lib/x86_64-linux-gnu/openblas-openmp
#cgo linux,arm64 LDFLAGS: -Wl,--disable-new-dtags -Wl,-rpath,/usr/lib/aarch64-linux-gnu/openblas-openmp
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"strings"
	"unsafe"
)

//go:generate go run ../scripts/forward

// start sets the engine up before anything else is asked of it.
func start() {
	C.lt_meter_install()
	setKernels()
	loadCUDA()
	SetThreads(0)
}

// Engine describes the libtorch that was loaded.
type Engine struct {
	Version    string // of libtorch, as its headers give it
	BLAS       string // OpenBLAS with its build line, MKL, or "reference BLAS", which is slow
	Kernel     string // the processor that OpenBLAS's matrix products are written for, such as Haswell; "" of another BLAS
	OneDNN     bool   // convolution kernels at the machine's limit
	Capability string // vector instructions that libtorch's own kernels use
	CUDA       bool   // libtorch's half for CUDA is loaded: see [DescribeCUDA]
	Threads    int    // intra-op threads
}

// Version returns libtorch's, as the headers give it that the program was built with. It does not load libtorch.
func Version() string { return C.GoString(C.lt_version()) }

// Describe reports which engine was loaded and how it is set.
func Describe() Engine {
	need()
	return Engine{
		Version:    Version(),
		BLAS:       strings.TrimSpace(takeString(C.lt_blas())),
		Kernel:     kernel(),
		OneDNN:     bool(C.lt_has_onednn()),
		Capability: C.GoString(C.lt_cpu_capability()),
		CUDA:       noCUDA == "",
		Threads:    Threads(),
	}
}

func (e Engine) String() string {
	return fmt.Sprintf("libtorch %s, %s, %d threads", e.Version, e.Capability, e.Threads)
}

// SetThreads sets the number of intra-op threads of the process and returns it. 0 means as many as OMP_NUM_THREADS says, or
// all cores available to it, control groups included. (Debian's libtorch starts with one.) It is less than n
// where n is above 4 a core and above 64, and where OMP_THREAD_LIMIT or a limit on the number of processes allows fewer: a
// team that does not come together would be waited for without end.
func SetThreads(n int) int {
	n = bounded(n)
	C.lt_set_threads(C.int(n))
	if came := Muster(n); came < n {
		n = max(1, came)
		C.lt_set_threads(C.int(n))
	}
	return n
}

// SetBLASThreads sets the number of threads of a matrix product alone. OpenBLAS has one number for the process and lets
// one threaded product run at a time, so workers that compute beside each other share it out before they start. It must
// not change while one of them computes.
func SetBLASThreads(n int) { C.lt_set_blas_threads(C.int(n)) }

// Threads returns the number of intra-op threads that operations of the calling goroutine use.
func Threads() int { return int(C.lt_threads()) }

// Pin fixes the calling goroutine to its thread until the returned function is called.
func Pin() (unpin func()) {
	runtime.LockOSThread()
	steady()
	return runtime.UnlockOSThread
}

// PinTeam fixes the calling goroutine to its thread for good and gives that thread n intra-op threads, whatever the
// process has: it is for workers that compute beside each other.
//
// The number is OpenMP's nthreads-var, which libgomp keeps per OS thread; at::parallel_for and oneDNN read it there, the
// former after libtorch has once set it to the process's number. libgomp also keeps the team itself for the thread that
// leads it. So the thread must not serve other goroutines later: it ends, and its team with it, when the goroutine does.
func PinTeam(n int) {
	Pin()
	C.lt_set_own_threads(C.int(n))
}

func takeString(s *C.char) string {
	defer C.free(unsafe.Pointer(s))
	return C.GoString(s)
}
