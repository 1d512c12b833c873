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
