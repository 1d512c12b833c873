package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch/dist"
)

// Times of the watch.
const (
	beatEvery = 500 * time.Millisecond
	grace     = 1200 * time.Millisecond // for a process to end by itself once the world has failed
	lookAhead = 5 * time.Second         // for the reason of an error of the engine's
	moment    = 300 * time.Millisecond  // for the reason of any other
)

// watch finds out that a rank is gone. Every rank sends rank 0 a sign of life twice a second, and gets one back. Rank 0 tells
// all when one rank is missing, wants to stop, or has failed.
type watch struct {
	w              *World
	sent, received atomic.Int64

	mutex   sync.Mutex
	cause   error
	failed  chan struct{} // closed when there is a cause
	over    chan struct{} // closed when rank 0 has ended the run
	final   beat
	stops   bool // this rank wants to stop
	wake    []chan struct{}
	senders sync.WaitGroup
	stopper func()
	failer  func(error)
}

// Lost says which rank is gone or has failed, and what to do. It is the same on all ranks.
type Lost struct{ text string }

func (l *Lost) Error() string { return l.text }

// beat is a sign of life.
type beat struct {
	Stop bool   `json:",omitempty"` // the run shall stop and save
	Fail string `json:",omitempty"` // why the world has failed
	Over bool   `json:",omitempty"` // the run has ended
	Code int    `json:",omitempty"` // with this exit code
	Text string `json:",omitempty"` // and this error
}

func newWatch(w *World) *watch {
	t := &watch{w: w, failed: make(chan struct{}), over: make(chan struct{})}
	for rank := range w.World {
		if (w.Rank == 0) != (rank == 0) {
			wake := make(chan struct{}, 1)
			t.wake = append(t.wake, wake)
			t.senders.Go(func() { t.send(rank, wake) })
			go t.receive(rank)
		}
	}
	return t
}

// send tells another rank that this one lives.
func (t *watch) send(to int, wake <-chan struct{}) {
	for {
		t.mutex.Lock()
		b := t.final
		b.Stop = t.stops
		if t.cause != nil {
			b.Fail = t.cause.Error()
		}
		t.mutex.Unlock()
		head, _ := json.Marshal(b)
		p := dist.Parcel{Head: head}
		if t.w.all.Send(p, to, laneBeat) != nil {
			return
		}
		t.sent.Add(p.WireBytes())
		if b.Over || b.Fail != "" {
			return
		}
		select {
		case <-wake:
		case <-time.After(beatEvery):
		}
	}
}

// receive listens to another rank until the run is over.
func (t *watch) receive(from int) {
	type heard struct {
		p   dist.Parcel
		err error
	}
	hears := make(chan heard, 1)
	for {
		go func() {
			p, err := t.w.all.Receive(from, laneBeat)
			hears <- heard{p, err}
		}()
		select {
		case h := <-hears:
			var b beat
			if h.err == nil {
				t.received.Add(h.p.WireBytes())
				h.err = json.Unmarshal(h.p.Head, &b)
			}
			if h.err != nil {
				t.fail(&Lost{fmt.Sprintf("%s is gone (%s); the run's last checkpoint is good: go on with --resume", t.w.name(from), brief(h.err))})
				return
			}
			if t.heed(b) {
				return
			}
		case <-time.After(t.w.Options.patience()):
			t.fail(&Lost{fmt.Sprintf("%s has said nothing for %v (mesh.timeout): it hangs or is cut off; the run's last checkpoint is good: go on with --resume",
				t.w.name(from), t.w.Options.patience())})
			return
		}
	}
}

// brief is the last part of what an engine says of a connection, without addresses that mean nothing to the user.
func brief(err error) string {
	parts := strings.Split(err.Error(), ": ")
	return strings.TrimSpace(parts[len(parts)-1])
}

// heed does what a beat asks for and reports whether it was the last one.
func (t *watch) heed(b beat) (last bool) {
	switch {
	case b.Fail != "":
		t.fail(&Lost{b.Fail})
		return true
	case b.Over && t.w.Rank == 0: // that rank has done its work
		return true
	case b.Over:
		t.mutex.Lock()
		t.final = b
		close(t.over)
		t.mutex.Unlock()
		if b.Text != "" { // no more commands come
			t.w.all.Close(t.final.error())
			t.w.column.Close(t.final.error())
		}
		return true
	case b.Stop:
		t.mutex.Lock()
		f := t.stopper
		t.mutex.Unlock()
		if f != nil {
			f()
		}
	}
	return false
}

// fail ends the world: the first cause stays.
func (t *watch) fail(cause error) {
	t.mutex.Lock()
	if t.cause != nil || t.final.Over {
		t.mutex.Unlock()
		return
	}
	t.cause = cause
	close(t.failed)
	failer := t.failer
	t.mutex.Unlock()
	t.hurry()
	go func() { // a connection that closes too early takes with it what others have not read yet
		t.told(grace / 2)
		time.Sleep(grace / 4)
		t.w.all.Close(cause)
		t.w.column.Close(cause)
	}()
	if failer != nil {
		time.AfterFunc(grace, func() { failer(cause) })
	}
}

// hurry sends the next beats now.
func (t *watch) hurry() {
	for _, wake := range t.wake {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

func (t *watch) stop() {
	t.mutex.Lock()
	t.stops = true
	t.mutex.Unlock()
	t.hurry()
}

func (t *watch) onStop(f func()) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.stopper = f
}

func (t *watch) onFail(f func(error)) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.failer = f
}

// end tells the others how the run has ended, unless this is not rank 0 or the world has failed already.
func (t *watch) end(cause error, code int) {
	t.mutex.Lock()
	if t.cause != nil || t.final.Over {
		t.mutex.Unlock()
		return
	}
	t.final = beat{Over: true, Code: code}
	if cause != nil {
		t.final.Text = cause.Error()
	}
	t.mutex.Unlock()
	t.hurry()
	if t.w.Rank == 0 {
		t.told(lookAhead) // and connections may close
	}
}

// told waits until the last beats are sent, at most so long.
func (t *watch) told(atMost time.Duration) {
	sent := make(chan struct{})
	go func() {
		t.senders.Wait()
		close(sent)
	}()
	select {
	case <-sent:
	case <-time.After(atMost):
	}
}

// ending waits for rank 0 to say how the run has ended.
func (t *watch) ending() (code int, err error) {
	select {
	case <-t.over:
	case <-t.failed:
		return 1, t.cause
	case <-time.After(t.w.Options.patience()):
		return 1, fmt.Errorf("%s did not say how the run has ended", t.w.name(0))
	}
	return t.final.Code, t.final.error()
}

// error is what a run has ended with.
func (b beat) error() error {
	switch {
	case b.Text == "":
		return nil
	case b.Code == 2:
		return fault.New("%s", b.Text)
	}
	return errors.New(b.Text)
}
