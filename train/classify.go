package train

import (
	"context"
	"errors"
	"fmt"
	"image"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"

	"github.com/locus-learn/locus/data/images"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/torch"
)

// ServeOptions is the `serve` section of a recipe: how a trained network answers those who ask at the same time.
type ServeOptions struct {
	Confidence float64 `recipe:"confidence" default:"0" min:"0" max:"1" doc:"the first head whose best class has this probability answers; 0 = the last head"`
	Workers    int     `recipe:"workers" default:"0" min:"0" max:"1024" doc:"batches that are computed at the same time, on one thread each; 0 = as many as threads, and 1 on a card"`
	Batch      int     `recipe:"batch" default:"8" min:"1" max:"1024" doc:"most waiting images that a worker computes at once"`
	Queue      int     `recipe:"queue" default:"128" min:"1" max:"65536" doc:"requests that are waited for or computed at a time; more are refused with 503"`
	Bytes      int64   `recipe:"bytes" default:"8388608" min:"1024" max:"1073741824" doc:"most bytes of a request"`
	Pixels     int     `recipe:"pixels" default:"33554432" min:"1" max:"67108864" doc:"most pixels of an image, which takes 3 bytes a pixel while it is decoded"`
	Seconds    float64 `recipe:"seconds" default:"30" min:"0.01" max:"3600" doc:"most time for a request, from its first byte to its answer"`
}

// Complete returns the options with defaults in the place of zeros, or a fault that names the first that cannot be.
func (o ServeOptions) Complete() (ServeOptions, error) {
	if err := recipe.Complete(&o); err != nil {
		return o, err
	}
	if err := recipe.Validate(&o); err != nil {
		return o, fault.New("serve: %w", err)
	}
	return o, nil
}

// ErrClosed is what a [Classifier] answers after Close.
var ErrClosed = errors.New("the classifier is closed")

// Classifier answers any number of goroutines at the same time. It runs o.Workers goroutines, labelled train/classify=0, 1, …
// for pprof, each pinned to a thread of its own. A worker takes what waits, up to o.Batch images and no more than its share,
// and never waits for more to come.
//
// On the CPU a worker computes with one thread: threads that share one image wait for each other at every layer, and
// OpenBLAS lets only one threaded product in at a time. For as long as a classifier is open, matrix products of the whole
// process take one thread.
type Classifier struct {
	t        *Trained
	o        ServeOptions
	done     func(images int, took time.Duration)
	queue    chan *question
	decoding chan struct{} // has room for as many decoders as workers
	workers  sync.WaitGroup

	mu     sync.RWMutex // held for reading by calls, so that Close waits for them
	closed bool
}

// question is one image that waits to be computed.
type question struct {
	ctx    context.Context
	pixels []byte
	answer chan<- answered // has room
}

type answered struct {
	Prediction
	err error
}

// Classifier starts a classifier. Options that are zero have their defaults. done, which may be nil, is called after each batch, from several goroutines. The caller
// closes it before it frees the model.
func (t *Trained) Classifier(o ServeOptions, done func(images int, took time.Duration)) (*Classifier, error) {
	if err := t.answers(); err != nil {
		return nil, err
	}
	o, err := o.Complete()
	if err != nil {
		return nil, err
	}
	if done == nil {
		done = func(int, time.Duration) {}
	}
	if o.Workers == 0 {
		if o.Workers = torch.Threads(); t.Device() != torch.CPU {
			o.Workers = 1
		}
	}
	c := &Classifier{t: t, o: o, done: done, queue: make(chan *question, o.Queue), decoding: make(chan struct{}, o.Workers)}
	products.Lock()
	if products.classifiers++; products.classifiers == 1 {
		torch.SetBLASThreads(1)
	}
	products.Unlock()
	for w := range o.Workers {
		label := pprof.Labels("train/classify", strconv.Itoa(w))
		c.workers.Go(func() { pprof.Do(context.Background(), label, func(context.Context) { c.work() }) })
	}
	return c, nil
}

// Close answers what was asked before it, and ends the workers. It may be called more than once.
func (c *Classifier) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	close(c.queue)
	c.workers.Wait()
	products.Lock()
	defer products.Unlock()
	if products.classifiers--; products.classifiers == 0 {
		torch.SetBLASThreads(torch.Threads())
	}
}

// Waiting is how many images wait to be computed.
func (c *Classifier) Waiting() int { return len(c.queue) }

// Classify predicts the classes of images, as [Trained.Predict] does, in their order. It waits while the queue is full. When
// ctx ends first its error is ctx's.
func (c *Classifier) Classify(ctx context.Context, pictures ...image.Image) ([]Prediction, error) {
	return c.ask(ctx, len(pictures), func(i int) ([]byte, error) {
		return images.Convert(c.t.Config.Data, pictures[i], c.t.sample())
	})
}

// ClassifyFiles is [Classifier.Classify] of the bytes of JPEG, PNG, GIF or WebP files. That one cannot be read is a fault which
// names it by its number, from 1.
func (c *Classifier) ClassifyFiles(ctx context.Context, files ...[]byte) ([]Prediction, error) {
	return c.ask(ctx, len(files), func(i int) ([]byte, error) {
		return images.Decode(c.t.Config.Data, files[i], c.o.Pixels, c.t.sample())
	})
}

// ask puts n images into the queue and waits for what is said of them.
func (c *Classifier) ask(ctx context.Context, n int, pixels func(i int) ([]byte, error)) ([]Prediction, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx) // so that nobody computes the rest of a call that failed
	defer cancel()
	waiting := make([]chan answered, n)
	for i := range n {
		q, err := c.prepare(ctx, func() ([]byte, error) { return pixels(i) })
		if err != nil {
			return nil, numbered(i, n, err)
		}
		waiting[i] = make(chan answered, 1)
		q.answer = waiting[i]
		select {
		case c.queue <- q:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	all := make([]Prediction, n)
	for i, answer := range waiting {
		select {
		case a := <-answer:
			if a.err != nil {
				return nil, a.err
			}
			all[i] = a.Prediction
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return all, nil
}

// numbered says which of several images an error is of.
func numbered(i, n int, err error) error {
	if n == 1 || !fault.Is(err) {
		return err
	}
	return fault.New("image %d %w", i+1, err)
}

// prepare decodes an image when it is its turn: large ones take memory that must be bounded.
func (c *Classifier) prepare(ctx context.Context, pixels func() ([]byte, error)) (*question, error) {
	select {
	case c.decoding <- struct{}{}:
		defer func() { <-c.decoding }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p, err := pixels()
	return &question{ctx: ctx, pixels: p}, err
}

// work answers questions until there are no more to come.
func (c *Classifier) work() {
	if c.t.Device() == torch.CPU {
		torch.PinTeam(1)
	} else {
		defer torch.Pin()()
	}
	for q := range c.queue {
		began := time.Now()
		batch := c.gather(q)
		if len(batch) == 0 {
			continue
		}
		answers, err := c.compute(batch)
		for i, q := range batch {
			a := answered{err: err}
			if err == nil {
				a.Prediction = answers[i]
			}
			q.answer <- a
		}
		c.done(len(batch), time.Since(began))
	}
}

// gather adds to a question its worker's share of what waits behind it, and leaves away what nobody waits for any more.
func (c *Classifier) gather(first *question) (batch []*question) {
	add := func(q *question) {
		if q.ctx.Err() == nil {
			batch = append(batch, q)
		}
	}
	add(first)
	for range min(c.o.Batch-1, len(c.queue)/c.o.Workers) {
		select {
		case q, open := <-c.queue:
			if !open {
				return batch
			}
			add(q)
		default:
			return batch
		}
	}
	return batch
}

// compute runs the network on a batch. A panic becomes the batch's error: nobody else could catch it.
func (c *Classifier) compute(batch []*question) (answers []Prediction, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("internal error while classifying: %v", r)
		}
	}()
	pixels := make([][]byte, len(batch))
	for i, q := range batch {
		pixels[i] = q.pixels
	}
	return c.t.predict(pixels, c.o.Confidence)
}

// Classify predicts the classes of images by a [Classifier] of the model's own recipe, which is started by the first call
// and closed by Free. It is safe from any goroutine; calls compute beside each other.
func (t *Trained) Classify(ctx context.Context, pictures ...image.Image) ([]Prediction, error) {
	t.mu.Lock()
	var err error
	if t.own == nil {
		t.own, err = t.Classifier(t.Config.Serve, nil)
	}
	c := t.own
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return c.Classify(ctx, pictures...)
}

// Free closes the model's own classifier and releases the model. Classifiers that others have started must be closed before.
func (t *Trained) Free() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.own != nil {
		t.own.Close()
		t.own = nil
	}
	t.Model.Free()
	if t.file != nil {
		t.file.Close()
	}
}
