package data

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// failing fills batches of one sample, but panics at batch at.
type failing struct{ at int }

const never = -1

func (f failing) Close() {}

func (f failing) Fill(b *Batch, _ []int, i int) (func() error, error) {
	if i == f.at {
		panic("out of paint")
	}
	b.N = 1
	return nil, nil
}

// A panic in a filler, or while one is made, must come out of Next as an error of that batch, and the loader must close.
func TestLoaderTurnsPanicsIntoErrors(t *testing.T) {
	for name, newFiller := range map[string]func() Filler{
		"fill": func() Filler { return failing{2} },
		"make": func() Filler { panic("out of paint") },
	} {
		l := NewLoader(40, BatchOptions{Batch: 10, Workers: 3}, newFiller)
		var err error
		delivered := 0
		for ; err == nil; delivered++ {
			_, err = l.Next(t.Context())
		}
		if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "out of paint") || errors.Is(err, io.EOF) {
			t.Errorf("%s: got %v", name, err)
		}
		if want := map[string]int{"fill": 3, "make": 1}[name]; delivered != want {
			t.Errorf("%s: the error comes with batch %d, want %d", name, delivered, want)
		}
		l.Close()
	}
}

// A Next that waits must wake at Close. The lane is starved by hand, because no worker is ever that slow.
func TestLoaderCloseWakesNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLoader(40, BatchOptions{Batch: 10, Workers: 1}, func() Filler { return failing{never} })
		synctest.Wait()
		for range buffers {
			<-l.lanes[0].full
		}
		go func() { time.Sleep(time.Second); l.Close() }()
		if _, err := l.Next(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}

// While one batch is in use, as many must be ready as were asked for, and no more be held than Buffers says.
func TestLoaderReadsAhead(t *testing.T) {
	for _, c := range []struct{ workers, ahead, ready, buffers int }{
		{0, 0, 1, 2}, {1, 0, 1, 2}, {1, 1, 1, 2}, {1, 8, 8, 9}, {2, 0, 3, 4}, {2, 3, 3, 4}, {2, 4, 5, 6}, {3, 8, 8, 9},
	} {
		synctest.Test(t, func(t *testing.T) {
			o := BatchOptions{Batch: 2, Workers: c.workers, Ahead: c.ahead}
			l := NewLoader(100, o, func() Filler { return failing{never} })
			defer l.Close()
			if _, err := l.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			ready := 0
			for _, lane := range l.lanes {
				ready += len(lane.full)
			}
			if ready != c.ready || o.Buffers() != c.buffers {
				t.Errorf("%d workers, %d ahead: %d ready of %d, want %d of %d", c.workers, c.ahead, ready, o.Buffers(), c.ready, c.buffers)
			}
		})
	}
}

// Parts of a batch, one after the other, are the batch.
func TestPartsMakeTheBatch(t *testing.T) {
	for _, parts := range []int{1, 2, 3, 6} {
		for i := range 3 {
			whole := BatchOptions{Batch: 6}
			first, end := whole.Span(i, 17)
			at := first
			for p := range parts {
				o := BatchOptions{Batch: 6, Part: p, Parts: parts}
				from, to := o.Span(i, 17)
				if from != min(at, max(from, at)) || to-from > 6/parts {
					t.Errorf("part %d of %d of batch %d is %d to %d", p, parts, i, from, to)
				}
				at = to
			}
			if i < 2 && at != end {
				t.Errorf("%d parts of batch %d end at %d, want %d", parts, i, at, end)
			}
		}
	}
}
