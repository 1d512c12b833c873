package train_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/train"
)

// stalled is a set whose training batches stop coming, as from a file system that does not answer.
type stalled struct {
	data.Source
	after int
	let   chan struct{} // closed when they may go on
}

func (s stalled) Part(p data.Part) data.Samples {
	if p != data.Train {
		return s.Source.Part(p)
	}
	return stalledSamples{s.Source.Part(p), s}
}

type stalledSamples struct {
	data.Samples
	set stalled
}

func (s stalledSamples) Batches(o data.BatchOptions) data.Batches {
	return data.NewLoader(s.Len(), o, func() data.Filler {
		return &stalledFiller{inner: s.Samples.Batches(o), set: s.set}
	})
}

type stalledFiller struct {
	inner data.Batches
	set   stalled
	calls atomic.Int64
}

func (f *stalledFiller) Fill(b *data.Batch, _ []int, _ int) (func() error, error) {
	if f.calls.Add(1) > int64(f.set.after) {
		<-f.set.let
	}
	got, err := f.inner.Next(context.Background())
	*b = got
	b.Bytes, b.Labels = slices.Clone(got.Bytes), slices.Clone(got.Labels) // got is on loan
	return nil, err
}
func (f *stalledFiller) Close()        { f.inner.Close() }
func (f *stalledFiller) Doing() string { return "far/away/1.jpg" }

// A step that waits for data says so, and for which file; interrupted, the run is saved though the data never come, and goes
// on with the same weights.
func TestStalledDataAreTold(t *testing.T) {
	b := newWorkbench(t)
	b.must(t, "whole", nil)
	c, err := train.Load(filepath.Join(b.dir, "small.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	source, err := data.Open(c.Data, c.Seed, []string{b.dir})
	if err != nil {
		t.Fatal(err)
	}
	set := stalled{source, 3, make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var lines []string
	var mu sync.Mutex
	notice := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
		if strings.Contains(line, "waits for its batch") && len(lines) > 1 {
			cancel()
		}
	}
	out := filepath.Join(b.dir, "stalled")
	begin := func(o train.Options) *train.Run {
		t.Helper()
		in := model.Input{Shape: nn.Shape{C: 3, H: 32, W: 32}, Classes: 10, Mean: source.Info().Mean, Std: source.Info().Std}
		m, err := train.NewModel(c, in, false)
		if err != nil {
			t.Fatal(err)
		}
		o.Out, o.Steps = out, total
		r, err := train.New(m.Model, set, c, o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := begin(train.Options{Notice: notice, Stall: 20 * time.Millisecond})
	began := time.Now()
	_, err = r.Train(ctx)
	if !errors.Is(err, train.ErrInterrupted) {
		t.Fatalf("want an interrupted run, got %v", err)
	}
	if waited := time.Since(began); waited > 30*time.Second {
		t.Errorf("the run hung for %v", waited)
	}
	close(set.let)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{"step 4 waits for its batch of data, which waits for far/away/1.jpg", "has not come yet"} {
		if !strings.Contains(all, want) {
			t.Errorf("want %q in\n%s", want, all)
		}
	}
	r = begin(train.Options{Resume: true})
	defer r.Close()
	if _, err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want, got := b.weights(t, "whole"), b.weights(t, "stalled"); string(want["conv1.weight"]) != string(got["conv1.weight"]) {
		t.Error("the resumed run ends with other weights")
	}
}
