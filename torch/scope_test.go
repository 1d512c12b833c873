package torch_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/locus-learn/locus/torch"
)

// A scope that records keeps its goroutine on its thread, and lets go of it at the end. What tells: the runtime ends the
// thread of a goroutine that returns while it is tied to it, and keeps other threads.
func TestRecordingScopeStaysOnItsThread(t *testing.T) {
	outlives := func(f func()) bool {
		for {
			var tid int
			on(func() {
				f()
				tid = syscall.Gettid()
			})
			if tid == os.Getpid() { // the process's first thread never ends
				continue
			}
			for start := time.Now(); time.Since(start) < 300*time.Millisecond; time.Sleep(time.Millisecond) {
				if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid)); err != nil {
					return false
				}
			}
			return true
		}
	}
	open := func(mode torch.Mode) *torch.Scope { return torch.NewScope(mode) }
	for _, c := range []struct {
		name string
		run  func()
		free bool
	}{
		{"an open scope that records", func() { open(torch.Grad) }, false},
		{"an open scope that does not", func() { open(torch.NoGrad) }, true},
		{"a closed scope", func() { open(torch.Grad).Close() }, true},
		{"a scope within another, closed twice", func() {
			open(torch.Grad)
			s := open(torch.Grad)
			s.Close()
			s.Close()
		}, false},
		{"two closed scopes", func() {
			a, b := open(torch.Grad), open(torch.Grad)
			a.Close()
			b.Close()
		}, true},
	} {
		if got := outlives(c.run); got != c.free {
			t.Errorf("%s: the thread goes on after the goroutine: %v, want %v", c.name, got, c.free)
		}
	}
}
