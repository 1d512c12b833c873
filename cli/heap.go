package cli

import (
	"os"
	"runtime/debug"
)

// heapGrowth is by how many percent Go's heap may grow between two collections where memory is short. At Go's own 100, a run
// whose modules come and go has 25 MB more of them. The heap is small then, so that collecting it often costs little.
const heapGrowth = 25

// keepHeapSmall does so for the rest of the process, unless its user says what he wants.
func keepHeapSmall() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}
