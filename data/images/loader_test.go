package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/locus-learn/locus/data"
)

// drain returns copies of all the batches that a loader yields.
func drain(t testing.TB, images data.Samples, o loaderOptions) []data.Batch {
	t.Helper()
	l := newLoader(images, o)
	defer l.Close()
	var all []data.Batch
	for {
		b, err := l.Next(t.Context())
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		b.Bytes, b.Labels = bytes.Clone(b.Bytes), slices.Clone(b.Labels)
		b.Second.Bytes, b.Partners, b.Places = bytes.Clone(b.Second.Bytes), slices.Clone(b.Partners), slices.Clone(b.Places)
		all = append(all, b)
	}
}

func TestLoaderVisitsEachImageOnce(t *testing.T) {
	images := fakeImages(50, 50, data.Shape{C: 3, H: 4, W: 4}) // the label tells the image
	for _, tt := range []struct {
		batch          int
		shuffle, keep  bool
		batches, total int
	}{
		{8, true, true, 7, 50}, {8, true, false, 6, 48}, {10, false, false, 5, 50}, {10, false, true, 5, 50},
		{64, false, true, 1, 50}, {64, false, false, 0, 0}, {1, true, false, 50, 50},
	} {
		t.Run(fmt.Sprintf("%+v", tt), func(t *testing.T) {
			all := drain(t, images, loaderOptions{Batch: tt.batch, Workers: 3, Shuffle: tt.shuffle, Epoch: 2, KeepLast: tt.keep})
			if len(all) != tt.batches || data.Count(50, tt.batch, tt.keep) != tt.batches {
				t.Fatalf("got %d batches, want %d", len(all), tt.batches)
			}
			var labels []int64
			for i, b := range all {
				if b.Index != i || b.Epoch != 2 || b.N != len(b.Labels) || len(b.Bytes) != b.N*48 || b.Shape != images.Shape {
					t.Fatalf("batch %d is %d of epoch %d with %d images", i, b.Index, b.Epoch, b.N)
				}
				for k, label := range b.Labels {
					if !bytes.Equal(b.Bytes[k*48:(k+1)*48], images.Image(int(label))) {
						t.Fatalf("image %d of batch %d is not the one that its label tells", k, i)
					}
				}
				labels = append(labels, b.Labels...)
			}
			if slices.IsSorted(labels) == tt.shuffle && len(labels) > 0 {
				t.Errorf("shuffle %v gives order %v", tt.shuffle, labels)
			}
			slices.Sort(labels)
			if len(slices.Compact(labels)) != tt.total {
				t.Errorf("visited %d images, want %d", len(labels), tt.total)
			}
		})
	}
}

// What a run sees depends on seed and epoch only: not on the workers, and not on where it was interrupted.
func TestLoaderRepeats(t *testing.T) {
	images := fakeImages(83, 10, data.Shape{C: 3, H: 8, W: 8})
	o := loaderOptions{Batch: 8, Workers: 1, Transform: Transform{Augment: data.AugmentCropFlip}, Shuffle: true, Seed: 5, Epoch: 3, KeepLast: true}
	want := drain(t, images, o)
	for workers := range 5 {
		for start := range len(want) + 2 {
			o.Workers, o.Start = workers, start
			got := drain(t, images, o)
			if rest := want[min(start, len(want)):]; len(got) != len(rest) || len(got) > 0 && !reflect.DeepEqual(got, rest) {
				t.Fatalf("%d workers from batch %d: the batches differ", workers, start)
			}
		}
	}
	o.Start = 0
	for _, change := range []func(*loaderOptions){
		func(o *loaderOptions) { o.Seed++ },
		func(o *loaderOptions) { o.Epoch++ },
	} {
		other := o
		change(&other)
		if got := drain(t, images, other); bytes.Equal(got[0].Bytes, want[0].Bytes) {
			t.Errorf("%+v gives the first batch of %+v", other, o)
		}
	}
	other := o
	other.Transform.Augment = data.AugmentNone
	if got := drain(t, images, other); bytes.Equal(got[0].Bytes, want[0].Bytes) || !slices.Equal(got[0].Labels, want[0].Labels) {
		t.Error("augmentation must change pixels and not the order")
	}
}

// synctest fails a test that leaves goroutines behind.
func TestLoaderCloseEndsGoroutines(t *testing.T) {
	images := fakeImages(100, 10, data.Shape{C: 1, H: 4, W: 4})
	for _, read := range []int{0, 1, 5, 10} {
		synctest.Test(t, func(t *testing.T) {
			l := newLoader(images, loaderOptions{Batch: 10, Workers: 4})
			for range read {
				if _, err := l.Next(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			l.Close()
			l.Close()
			if _, err := l.Next(t.Context()); !errors.Is(err, data.ErrClosed) {
				t.Errorf("Next after Close: %v", err)
			}
		})
	}
}

func TestLoaderCancel(t *testing.T) {
	images := fakeImages(40, 10, data.Shape{C: 1, H: 4, W: 4})
	l := newLoader(images, loaderOptions{Batch: 10, Workers: 2})
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 4 {
		if _, err := l.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("Next with a cancelled context: %v", err)
		}
		if b, err := l.Next(t.Context()); err != nil || b.Index != i {
			t.Fatalf("got batch %d, %v, want %d", b.Index, err, i)
		}
	}
	for range 2 {
		if _, err := l.Next(t.Context()); err != io.EOF {
			t.Fatalf("got %v, want EOF", err)
		}
	}
}

func TestNewLoaderPanics(t *testing.T) {
	for _, o := range []loaderOptions{{}, {Batch: 1, Start: -1}, {Batch: 1, Epoch: -1}, {Batch: 1, Transform: Transform{Augment: "mixup"}},
		{Batch: 1, Views: 3}, {Batch: 1, Transform: Transform{Augment: data.AugmentResizedCrop}}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is taken", o)
				}
			}()
			newLoader(Images{}, o)
		}()
	}
}

func BenchmarkLoader(b *testing.B) {
	images := fakeImages(50_000, 10, data.Shape{C: 3, H: 32, W: 32})
	for _, augment := range []string{data.AugmentNone, data.AugmentCropFlip} {
		b.Run(augment, func(b *testing.B) {
			n := 0
			for b.Loop() {
				l := newLoader(images, loaderOptions{Batch: 128, Workers: 2, Transform: Transform{Augment: augment}, Shuffle: true})
				for batch, err := l.Next(b.Context()); err == nil; batch, err = l.Next(b.Context()) {
					n += batch.N
				}
				l.Close()
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
