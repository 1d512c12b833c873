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
)

// ErrClosed is what Next returns after Close.
var ErrClosed = errors.New("data: loader is closed")

// Batch is some images in the order that the epoch visits them. It is on loan; see [Loader.Next].
type Batch struct {
	Images   []byte  // N × H × W × C, channels last
	Second   []byte  // the same images, augmented anew; nil unless two views were asked for
	Labels   []int64 // N classes
	Partners []int64 // classes of the images that were mixed in; nil unless Mixup or CutMix was asked for
	Weight   float64 // of Labels in a soft target, where Partners have 1−Weight; 1 without mixing
	N        int
	Shape    Shape // of one image
	Epoch    int
	Index    int // of the batch in its epoch, from 0

	broken []broken // images that had to be left out
	err    error    // why there is no batch
}

// LoaderOptions says which batches a Loader makes. Batch must be at least 1, Epoch and Start must not be negative.
type LoaderOptions struct {
	Batch     int // images a batch
	Workers   int // goroutines; below 1 counts as 1; the batches do not depend on it
	Transform Transform
	Views     int // 2 for a second view of each image in Batch.Second; 0 and 1 for none
	Shuffle   bool
	Seed      uint64 // the root that order and augmentation derive from, with Epoch and the batch's index
	Epoch     int
	Start     int  // index of the first batch to deliver: where a resumed epoch goes on
	KeepLast  bool // for evaluation: deliver a last batch that is not full, and no images in place of broken ones
}

// Loader prepares the batches of one epoch in the background and delivers them in order.
//
// It runs o.Workers goroutines, labelled data/loader=0, 1, … for pprof. Worker w fills batches Start+w,
// Start+w+Workers, … and ends after its last one or at Close. Each has a lane of its own with lent buffers going round, so
// that order needs no sorting and a slow reader stops the workers.
type Loader struct {
	o       LoaderOptions
	images  Images
	order   []int
	batches int // in the whole epoch
	next    int // index of the batch that Next delivers
	lanes   []lane
	lent    *Batch // what the caller has; belongs to the lane of batch next-1
	done    chan struct{}
	close   sync.Once
	workers sync.WaitGroup
}

// lane connects one worker with Next. Both channels have room for all its buffers, so that sending never blocks.
type lane struct{ full, free chan *Batch }

// buffers is how many batches a lane has: one that is filled while the other is read.
const buffers = 2

// NewLoader starts to prepare the batches of epoch o.Epoch of images. The caller calls Close when done, at the end of
// the epoch too. It panics on options that are not allowed.
//
// An image in a file that cannot be read is named once, through [Set.OnBroken]. In training the next one in the epoch's
// order that can be read stands in for it, so that the batches are the same however often they are made.
func NewLoader(images Images, o LoaderOptions) *Loader {
	if o.Batch < 1 || o.Epoch < 0 || o.Start < 0 || o.Views < 0 || o.Views > 2 {
		panic(fmt.Sprintf("data: loader of batch %d, epoch %d, start %d, %d views", o.Batch, o.Epoch, o.Start, o.Views))
	}
	if err := o.Transform.check(); err != nil {
		panic("data: loader whose " + err.Error())
	}
	l := &Loader{
		o: o, images: images,
		order:   Order(o.Seed, o.Epoch, images.Len(), o.Shuffle),
		batches: Batches(images.Len(), o.Batch, o.KeepLast),
		next:    o.Start,
		done:    make(chan struct{}),
	}
	n := min(o.Batch, images.Len())
	l.lanes = make([]lane, max(0, min(max(1, o.Workers), l.batches-o.Start)))
	for w := range l.lanes {
		l.lanes[w] = lane{make(chan *Batch, buffers), make(chan *Batch, buffers)}
		for range buffers {
			b := &Batch{Images: make([]byte, n*images.Shape.Size()), Labels: make([]int64, n)}
			if o.Views == 2 {
				b.Second = make([]byte, len(b.Images))
			}
			l.lanes[w].free <- b
		}
		l.workers.Go(func() {
			pprof.Do(context.Background(), pprof.Labels("data/loader", strconv.Itoa(w)), func(context.Context) { l.work(w) })
		})
	}
	return l
}

// work fills every batch of worker w.
func (l *Loader) work(w int) {
	f := filler{o: &l.o, images: l.images, order: l.order, paints: l.o.Transform.colours()}
	defer f.lens.close()
	for i := l.o.Start + w; i < l.batches; i += len(l.lanes) {
		select {
		case b := <-l.lanes[w].free:
			f.fill(b, i)
			l.lanes[w].full <- b
		case <-l.done:
			return
		}
	}
}

// Next waits for the next batch. Its slices belong to the caller until the following call of Next, which takes them
// back to be filled anew. After the last batch the error is io.EOF, after Close it is ErrClosed; if ctx ends first, it
// is ctx's, no batch is lost and Next may be called again. With more broken images than the set allows it is a fault that
// wraps ErrBroken. Next is for one goroutine at a time.
func (l *Loader) Next(ctx context.Context) (Batch, error) {
	for {
		b, err := l.receive(ctx)
		if err == nil && len(b.broken) > 0 { // here, and not in the workers, so that it is told in order
			err = l.images.photos.health.report(b.broken)
		}
		if err = cmp.Or(err, b.err); err != nil {
			return Batch{}, err
		}
		if b.N > 0 { // otherwise none of its images could be read
			return b, nil
		}
	}
}

func (l *Loader) receive(ctx context.Context) (Batch, error) {
	if l.lent != nil {
		l.lane(l.next - 1).free <- l.lent
		l.lent = nil
	}
	select { // an end goes before a batch that is ready too
	case <-l.done:
		return Batch{}, ErrClosed
	case <-ctx.Done():
		return Batch{}, ctx.Err()
	default:
	}
	if l.next >= l.batches {
		return Batch{}, io.EOF
	}
	select {
	case l.lent = <-l.lane(l.next).full:
		l.next++
		return *l.lent, nil
	case <-ctx.Done():
		return Batch{}, ctx.Err()
	case <-l.done:
		return Batch{}, ErrClosed
	}
}

// lane returns the lane of the worker that fills batch i.
func (l *Loader) lane(i int) lane { return l.lanes[(i-l.o.Start)%len(l.lanes)] }

// Close ends every goroutine of the loader and waits for them. It may be called at any time, from any goroutine, and
// more than once.
func (l *Loader) Close() {
	l.close.Do(func() { close(l.done) })
	l.workers.Wait()
}
