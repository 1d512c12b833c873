package host

import (
	"math"
	"os"
	"strconv"
	"strings"
)

// Memory returns the bytes that this process may have: the machine's, or what a container allows where that is less. Where
// neither is told, it is the largest number.
func Memory() int64 {
	least := int64(math.MaxInt64)
	for _, limit := range []int64{
		memTotal(read("/proc/meminfo")),
		bytes(read("/sys/fs/cgroup/memory.max")),                   // version 2 of control groups
		bytes(read("/sys/fs/cgroup/memory/memory.limit_in_bytes")), // version 1
	} {
		if limit > 0 {
			least = min(least, limit)
		}
	}
	return least
}

func read(file string) string {
	text, _ := os.ReadFile(file) // not there: not told
	return string(text)
}

// memTotal finds the line "MemTotal: 16384 kB", 0 if there is none.
func memTotal(meminfo string) int64 {
	for line := range strings.Lines(meminfo) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			return 1024 * bytes(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
		}
	}
	return 0
}

// bytes reads a number; "max" and anything else is 0.
func bytes(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
