//go:build lazyengine

package torch

/*
#include <stdbool.h>
bool lt_loaded(void);
void lt_need(void);
*/
import "C"

import (
	"os"
	"strings"

	"github.com/locus-learn/locus/internal/host"
)

// need loads the engine, which lies in a library of its own, unless it is there. Every function of the engine does so too.
func need() { C.lt_need() }

// Loaded reports whether libtorch is in this process.
func Loaded() bool { return bool(C.lt_loaded()) }

//export locusStart
func locusStart() { start() }

// locusFavour is told which kernels OpenBLAS would take, and lets it take others where those are far below the processor.
//
//export locusFavour
func locusFavour(kernel *C.char) {
	if name, value, found := strings.Cut(host.Favour(C.GoString(kernel), host.Processor()), "="); found {
		_ = os.Setenv(name, value) // or the run goes on, slowly, and doctor says so
	}
}
