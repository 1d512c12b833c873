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

// The time that a process was stopped for is no wait, whether the wait goes on behind it or is over.
func TestWatchdogOfAStoppedProcess(t *testing.T) {
	var lines []string
	w := watch(func(line string) { lines = append(lines, line) }, time.Hour)
	defer w.close()
	stopped := func(waited, slept time.Duration) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.since, w.looked = time.Now().Add(-waited-slept), time.Now().Add(-slept)
	}
	over := w.during("step", func() string { return "step 7" })
	stopped(20*time.Minute, 5*time.Hour)
	w.look()
	over()
	if got := w.longest["step"]; len(lines) > 0 || got < 20*time.Minute || got > 21*time.Minute {
		t.Errorf("told %q, and the step took %v", lines, got)
	}
	over = w.during("batch", func() string { return "a batch" })
	stopped(time.Minute, 5*time.Hour)
	over()
	if got := w.longest["batch"]; got < time.Minute || got > 2*time.Minute {
		t.Errorf("the batch took %v", got)
	}
	w.during("batch", func() string { return "a batch" })
	stopped(2*time.Hour, 0)
	w.look()
	if len(lines) != 1 {
		t.Errorf("a wait of two hours behind the stop is not told")
	}
}
