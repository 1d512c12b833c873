package host

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// groupRoot is where control groups of version 2 are mounted.
const groupRoot = "/sys/fs/cgroup"

// Memory returns the bytes that this process may have: the machine's, or what a container, a batch system or ulimit allows
// where that is less. Where nothing is told, it is the largest number.
func Memory() int64 {
	limits := []int64{
		meminfo(read("/proc/meminfo"), "MemTotal:"),
		number(read(groupRoot + "/memory/memory.limit_in_bytes")), // version 1
		addressSpace(),
	}
	for _, dir := range groups(read("/proc/self/cgroup")) {
		limits = append(limits, number(read(dir+"/memory.max")))
	}
	least := int64(math.MaxInt64)
	for _, limit := range limits {
		if limit > 0 {
			least = min(least, limit)
		}
	}
	return least
}

// Free returns the bytes that this process can still get without swapping, as far as the system tells: those that the machine
// has available, or what is left to a control group where that is less. told is false where neither is known.
func Free() (bytes int64, told bool) {
	free := int64(math.MaxInt64)
	if available := meminfo(read("/proc/meminfo"), "MemAvailable:"); available > 0 {
		free, told = available, true
	}
	for _, dir := range groups(read("/proc/self/cgroup")) {
		limit, used := number(read(dir+"/memory.max")), number(read(dir+"/memory.current"))
		if limit == 0 || used == 0 {
			continue
		}
		caches := field(read(dir+"/memory.stat"), "inactive_file") // of files: they give way
		free, told = min(free, max(0, limit-used+caches)), true
	}
	return free, told
}

// groups lists the folders of the control group that a process's file /proc/self/cgroup names, and of those above it.
func groups(text string) []string {
	dirs := []string{groupRoot}
	for line := range strings.Lines(text) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for path = filepath.Clean("/" + path); ok && path != "/"; path = filepath.Dir(path) {
			dirs = append(dirs, groupRoot+path)
		}
	}
	return dirs
}

// addressSpace is what ulimit -v allows, 0 for any.
func addressSpace() int64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_AS, &l); err != nil || l.Cur > math.MaxInt64 {
		return 0
	}
	return int64(l.Cur)
}

func read(file string) string {
	text, _ := os.ReadFile(file) // not there: not told
	return string(text)
}

// meminfo finds a line such as "MemTotal: 16384 kB" by its key, 0 if there is none.
func meminfo(text, key string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			return 1024 * number(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
		}
	}
	return 0
}

// field finds a line such as "inactive_file 4096" by its key, 0 if there is none.
func field(text, key string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, key+" "); ok {
			return number(rest)
		}
	}
	return 0
}

// number reads one; "max" and anything else is 0.
func number(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
