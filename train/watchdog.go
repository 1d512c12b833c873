package train

import (
	"fmt"
	"sync"
	"time"
)

// stall is after how long a run says for the first time what it waits for.
const stall = time.Minute

// watchdog tells what a run waits for, where something takes far longer than it did before: a file system that does not
// answer, or an engine whose threads wait for each other. It changes nothing.
//
// Its lock is held while a line is told, and whoever goes on takes it. So nothing of the run is printed at that moment.
type watchdog struct {
	tell  func(string)
	limit time.Duration // of what has no longer wait behind it

	mu      sync.Mutex
	waits   func() string // nil while the run waits for nothing
	since   time.Time
	next    time.Duration            // how long the wait lasts when the next line is told
	kind    string                   // of the wait
	longest map[string]time.Duration // that went well, of each kind
	looked  time.Time                // the last look, or the start
	every   time.Duration            // between looks

	stop    chan struct{}
	stopped sync.WaitGroup
}

// watch starts a watchdog, which looks a few times within its limit, until close.
func watch(tell func(string), limit time.Duration) *watchdog {
	w := &watchdog{
		tell: tell, limit: limit, longest: map[string]time.Duration{}, stop: make(chan struct{}),
		looked: time.Now(), every: min(max(limit/4, time.Millisecond), time.Second),
	}
	w.stopped.Go(func() {
		tick := time.NewTicker(w.every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.look()
			case <-w.stop:
				return
			}
		}
	})
	return w
}

// close ends the watchdog and waits for it.
func (w *watchdog) close() {
	close(w.stop)
	w.stopped.Wait()
}

// look tells of a wait that is too long, at growing intervals.
func (w *watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slept()
	lasts := time.Since(w.since)
	if w.waits == nil || lasts < w.next {
		return
	}
	w.next = 2 * lasts
	w.tell(fmt.Sprintf("%s, for %v so far; Ctrl-C twice ends the run, whose last checkpoint stays", w.waits(), lasts.Round(time.Second)))
}

// missed is after how many looks that were not taken a process is taken to have been stopped, and a minimum.
const missed, leastMissed = 10, 10 * time.Second

// slept leaves out of a wait the time that the process was stopped for, as by SIGSTOP or a batch system that suspends jobs: nothing was
// waited for meanwhile.
func (w *watchdog) slept() {
	now := time.Now()
	if gap := now.Sub(w.looked); gap > max(missed*w.every, leastMissed) {
		w.since = w.since.Add(min(gap, now.Sub(w.since)))
	}
	w.looked = now
}

// during says what the run waits for until the function that it returns is called. Waits of one kind are compared: ten times
// the longest is too long, at least the limit.
func (w *watchdog) during(kind string, waits func() string) (over func()) {
	if w == nil { // nobody trains
		return func() {}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kind, w.waits, w.since = kind, waits, time.Now()
	w.next = max(w.limit, 10*w.longest[kind])
	return w.over
}

func (w *watchdog) over() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slept()
	w.longest[w.kind] = max(w.longest[w.kind], time.Since(w.since))
	w.waits = nil
}
