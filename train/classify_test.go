package train_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// Any number of goroutines get what one gets alone, and nothing is left of it.
func TestClassifyFromManyGoroutines(t *testing.T) {
	b := newPhotoBench(t)
	b.must(t, "run", nil, "threads=2")
	before := torch.LiveTensors()
	m, err := train.Open(filepath.Join(b.dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	var pictures []image.Image
	var want []train.Prediction
	for i := range 3 {
		path := filepath.Join(b.dir, "val", "red", fmt.Sprintf("%d.jpg", i))
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		img, _, err := image.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		p, err := m.Predict(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		pictures, want = append(pictures, img), append(want, p)
	}
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for i := range 3 {
				got, err := m.Classify(t.Context(), pictures[i], pictures[(i+1)%3])
				if err != nil {
					t.Error(err)
					return
				}
				same(t, got[0], want[i])
				same(t, got[1], want[(i+1)%3])
			}
		})
	}
	group.Wait()
	m.Free()
	if left := torch.LiveTensors(); left != before {
		t.Errorf("%d tensors are left, %d were there before", left, before)
	}
}

// same compares predictions of one picture, which two JPEG decoders have read.
func same(t *testing.T, got, want train.Prediction) {
	t.Helper()
	if got.Module != want.Module || len(got.Classes) != len(want.Classes) {
		t.Errorf("got %+v, want %+v", got, want)
		return
	}
	probability := map[string]float64{}
	for _, c := range want.Classes {
		probability[c.Class] = c.Probability
	}
	for _, c := range got.Classes {
		if math.Abs(c.Probability-probability[c.Class]) > 0.05 {
			t.Errorf("%s has %g, want %g", c.Class, c.Probability, probability[c.Class])
		}
	}
}

func TestClassifierEndsWhatWasAsked(t *testing.T) {
	b := newPhotoBench(t)
	b.must(t, "run", nil)
	m, err := train.Open(filepath.Join(b.dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	o := m.Config.Serve
	o.Workers, o.Queue, o.Batch = 1, 2, 4
	var computed atomic.Int64
	c, err := m.Classifier(o, func(images int, _ time.Duration) { computed.Add(int64(images)) })
	if err != nil {
		t.Fatal(err)
	}
	picture := image.NewNRGBA(image.Rect(0, 0, 40, 40))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Classify(ended, picture); !errors.Is(err, context.Canceled) {
		t.Errorf("a call whose context has ended: %v", err)
	}
	many := make([]image.Image, 20) // more than the queue holds
	for i := range many {
		many[i] = picture
	}
	asked := make(chan error)
	go func() {
		_, err := c.Classify(t.Context(), many...)
		asked <- err
	}()
	for computed.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	go c.Close()
	if err := <-asked; err != nil {
		t.Errorf("a call from before Close: %v", err)
	}
	c.Close()
	if _, err := c.Classify(t.Context(), picture); !errors.Is(err, train.ErrClosed) {
		t.Errorf("a call after Close: %v", err)
	}
	if n := computed.Load(); n != 20 {
		t.Errorf("%d images were computed, want 20", n)
	}
	if _, err := m.Classify(t.Context(), image.NewNRGBA(image.Rect(0, 0, 0, 5))); err == nil {
		t.Error("an image without pixels is classified")
	}
}
