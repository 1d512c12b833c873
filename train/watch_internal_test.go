package train

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// A wait is told when it is too long for its kind, then at growing intervals, and not after it is over.
func TestWatchdog(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	w := watch(func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	}, time.Hour)
	defer w.close()
	told := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(lines)
	}
	ago := func(d time.Duration) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.since = time.Now().Add(-d)
	}
	over := w.during("step", func() string { return "step 7" })
	for _, tt := range []struct {
		lasts time.Duration
		want  int
	}{{time.Minute, 0}, {61 * time.Minute, 1}, {100 * time.Minute, 1}, {123 * time.Minute, 2}} {
		ago(tt.lasts)
		w.look()
		if told() != tt.want {
			t.Errorf("after %v: %d lines, want %d", tt.lasts, told(), tt.want)
		}
	}
	if !strings.HasPrefix(lines[0], "step 7, for 1h1m0s so far") {
		t.Errorf("told %q", lines[0])
	}
	over()
	ago(1000 * time.Hour)
	w.look()
	w.during("step", func() string { return "step 8" })() // the longest step so far took two hours
	w.during("step", func() string { return "step 9" })
	ago(10 * time.Hour)
	w.look()
	if told() != 2 {
		t.Errorf("told %q", lines)
	}
	w.during("batch", func() string { return "a batch" }) // of another kind
	ago(61 * time.Minute)
	w.look()
	if told() != 3 {
		t.Errorf("told %q", lines)
	}
}
