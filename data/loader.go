package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
)

// ErrClosed is what Next returns after Close.
var ErrClosed = errors.New("data: loader is closed")

// ErrBroken is wrapped by the fault with which batches stop when more samples cannot be read than data.broken allows.
var ErrBroken = errors.New("too many images cannot be read")

// ErrFailed is wrapped by the error of a batch whose making failed: this need not cost a run.
var ErrFailed = errors.New("a batch of data cannot be had")

// Filler fills batches for one goroutine of a [Loader].
type Filler interface {
	// Fill makes b batch i of the epoch that visits its samples in the given order; b's slices may be used again. It fills in
	// everything but Epoch and Index. Next calls told, which may be nil, before it delivers the batch, in the order of the
	// batches: so that what is told of samples comes in order. A batch of no samples is passed over.
	Fill(b *Batch, order []int, i int) (told func() error, err error)

	// Close frees what the filler holds.
	Close()
}

// A Filler that has a method Doing() string is asked by [Loader.Waits] what it is at, from other goroutines.

// Loader is [Batches] that are prepared in the background.
//
// It runs o.Workers goroutines, labelled data/loader=0, 1, … for pprof. Worker w fills batches Start+w,
// Start+w+Workers, … and ends after its last one or at Close. Each has a lane of its own with lent buffers going round, so
// that order needs no sorting and a slow reader stops the workers.
type Loader struct {
	o       BatchOptions
	order   []int
	batches int        // in the whole epoch
	next    int        // index of the batch that Next delivers
	reading sync.Mutex // of next, which Waits looks at from elsewhere
	lanes   []*lane
	lent    *filled // what the caller has; belongs to the lane of batch next-1
	done    chan struct{}
	close   sync.Once
	workers sync.WaitGroup
}

// filled is a batch, or why there is none.
type filled struct {
	Batch
	told func() error
	err  error
}

// lane connects one worker with Next. Both channels have room for all its buffers, so that sending never blocks.
type lane struct {
	full, free chan *filled
	filler     atomic.Pointer[Filler] // while it fills a batch
}

// buffers is how many batches a lane has at least: one that is filled while the other is read.
const buffers = 2

// Buffers returns how many batches a [Loader] with these options may hold at a time.
func (o BatchOptions) Buffers() int {
	workers := max(1, o.Workers)
	return workers * o.buffers(workers)
}

// buffers is how many of them each of so many lanes has: in all those that are to be ready, and the one in use.
func (o BatchOptions) buffers(lanes int) int { return max(buffers, (o.Ahead+lanes)/lanes) }

// NewLoader starts to prepare the batches of epoch o.Epoch of n samples, with a filler of newFiller's for each goroutine. The
// caller calls Close when done, at the end of the epoch too. It panics on options that are not allowed.
func NewLoader(n int, o BatchOptions, newFiller func() Filler) *Loader {
	if o.Batch < 1 || o.Epoch < 0 || o.Start < 0 || o.Views < 0 || o.Views > 2 ||
		o.Parts > 1 && (o.Part < 0 || o.Part >= o.Parts || o.Batch%o.Parts != 0) {
		panic(fmt.Sprintf("data: loader of batch %d, epoch %d, start %d, %d views", o.Batch, o.Epoch, o.Start, o.Views))
	}
	l := &Loader{
		o:     o,
		order: o.Order,
		next:  o.Start,
		done:  make(chan struct{}),
	}
	if o.Order == nil {
		l.order = Order(o.Seed, o.Epoch, n, o.Shuffle)
	}
	l.batches = Count(len(l.order), o.Batch, o.KeepLast)
	l.lanes = make([]*lane, max(0, min(max(1, o.Workers), l.batches-o.Start)))
	for w := range l.lanes {
		n := o.buffers(len(l.lanes))
		l.lanes[w] = &lane{full: make(chan *filled, n), free: make(chan *filled, n)}
		for range n {
			l.lanes[w].free <- &filled{}
		}
		l.workers.Go(func() {
			pprof.Do(context.Background(), pprof.Labels("data/loader", strconv.Itoa(w)), func(context.Context) { l.work(w, newFiller) })
		})
	}
	return l
}

// work fills every batch of worker w.
func (l *Loader) work(w int, newFiller func() Filler) {
	var f Filler
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	for i := l.o.Start + w; i < l.batches; i += len(l.lanes) {
		select {
		case b := <-l.lanes[w].free:
			f = l.fill(f, newFiller, b, i)
			l.lanes[w].full <- b
		case <-l.done:
			return
		}
	}
}

// fill makes b batch i with f, or with a new filler while that is nil, and returns the filler. A panic becomes the batch's
// error: so whoever waits for the batch can save a run.
func (l *Loader) fill(f Filler, newFiller func() Filler, b *filled, i int) (used Filler) {
	defer func() {
		if r := recover(); r != nil {
			used, b.told = f, nil
			b.err = fmt.Errorf("%w, which is a bug of the set: batch %d of epoch %d: %v", ErrFailed, i, l.o.Epoch, r)
		}
	}()
	if f == nil {
		f = newFiller()
	}
	busy := &l.lane(i).filler
	busy.Store(&f)
	defer busy.Store(nil)
	b.told, b.err = f.Fill(&b.Batch, l.order, i)
	b.Epoch, b.Index = l.o.Epoch, i
	return f
}

// Next is as [Batches] says.
func (l *Loader) Next(ctx context.Context) (Batch, error) {
	for {
		b, err := l.receive(ctx)
		if err != nil {
			return Batch{}, err
		}
		if b.told != nil { // here, and not in the workers, so that it is told in order
			err = b.told()
		}
		if err = cmp.Or(err, b.err); err != nil {
			return Batch{}, err
		}
		if b.N > 0 { // otherwise none of its samples could be read
			return b.Batch, nil
		}
	}
}

func (l *Loader) receive(ctx context.Context) (*filled, error) {
	if l.lent != nil {
		l.lane(l.next - 1).free <- l.lent
		l.lent = nil
	}
	select { // an end goes before a batch that is ready too
	case <-l.done:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	default:
	}
	if l.next >= l.batches {
		return nil, io.EOF
	}
	select {
	case l.lent = <-l.lane(l.next).full:
		l.reading.Lock()
		l.next++
		l.reading.Unlock()
		return l.lent, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.done:
		return nil, ErrClosed
	}
}

// lane returns the lane of the worker that fills batch i.
func (l *Loader) lane(i int) *lane { return l.lanes[(i-l.o.Start)%len(l.lanes)] }

// Waits says what the batch that Next waits for is waiting for itself, as far as its filler knows: one with a method
// Doing() string is asked. It may be called from any goroutine.
func (l *Loader) Waits() string {
	l.reading.Lock()
	next := l.next
	l.reading.Unlock()
	if next >= l.batches {
		return ""
	}
	f := l.lane(next).filler.Load()
	if f == nil {
		return ""
	}
	if f, ok := (*f).(interface{ Doing() string }); ok {
		return f.Doing()
	}
	return ""
}

// Close ends every goroutine of the loader and waits for them. It may be called at any time, from any goroutine, and
// more than once.
func (l *Loader) Close() {
	l.close.Do(func() { close(l.done) })
	l.workers.Wait()
}
