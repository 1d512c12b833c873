package torch

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	_ "embed"
	"errors"
	"unsafe"
)

//go:embed card.cu
var cardSource string

// setKernels hands the source of the kernels for CUDA devices to the engine.
func setKernels() {
	text := C.CString(cardSource)
	defer C.free(unsafe.Pointer(text))
	C.lt_set_kernels(text)
}

// Kernels says why kernels of ours do not run on d, which then has compositions of libtorch's operations in their place: the
// same results, with more memory and time. On a CUDA device they are compiled by NVRTC when they are first asked for. The
// environment variable LOCUS_KERNELS=off turns them off everywhere.
func (d Device) Kernels() error {
	if why := takeString(C.lt_kernels(C.int(d))); why != "" {
		return errors.New(why)
	}
	return nil
}

// CompileKernels compiles the kernels for a GPU's architecture, "sm_90" for instance, without one, and returns the size of
// the code. It fails where NVRTC is not there.
func CompileKernels(architecture string, dtype DType) (bytes int64, err error) {
	name := C.CString(architecture)
	defer C.free(unsafe.Pointer(name))
	var n C.int64_t
	if why := takeString(C.lt_kernels_compile(name, C.bool(dtype == BFloat16), &n)); why != "" {
		return 0, errors.New(why)
	}
	return int64(n), nil
}
