package train_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// wrong is a set with a part of which the second batch of each epoch is changed before anybody gets it.
type wrong struct {
	data.Source
	part   data.Part
	change func(*data.Batch) error
}

func (w wrong) Part(p data.Part) data.Samples {
	if p != w.part {
		return w.Source.Part(p)
	}
	return wrongSamples{w.Source.Part(p), w.change}
}

type wrongSamples struct {
	data.Samples
	change func(*data.Batch) error
}

func (w wrongSamples) Subset(places []int) data.Samples {
	return wrongSamples{w.Samples.Subset(places), w.change}
}

func (w wrongSamples) Batches(o data.BatchOptions) data.Batches {
	return wrongBatches{w.Samples.Batches(o), w.change}
}

type wrongBatches struct {
	data.Batches
	change func(*data.Batch) error
}

func (w wrongBatches) Next(ctx context.Context) (data.Batch, error) {
	b, err := w.Batches.Next(ctx)
	if err == nil && b.Index == 1 {
		err = w.change(&b)
	}
	return b, err
}

// A set of one's own that is wrong ends a run with what it has, and not with what the engine makes of that. The run is saved.
func TestSetThatIsWrong(t *testing.T) {
	b := workbench{t.TempDir()}
	run := func(out string, source data.Source, resume bool) error {
		t.Helper()
		r, err := train.New(ownModel(t, torch.CPU), source, ownConfig(), train.Options{Out: filepath.Join(b.dir, out), Steps: 6, Resume: resume})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Train(t.Context())
		return errors.Join(err, r.Close())
	}
	if err := run("whole", blobs(t, 256), false); err != nil {
		t.Fatal(err)
	}
	before := torch.LiveTensors()
	gone := errors.New("the disk is gone")
	for i, c := range []struct {
		change func(b *data.Batch) error
		want   string
	}{
		{func(b *data.Batch) error { b.Labels[3] = 4; return nil }, "batch 1 of epoch 0 has 4 among its labels, at sample 3: must be 0 to 3"},
		{func(b *data.Batch) error { b.Labels[0] = -1; return nil }, "has -1 among its labels, at sample 0"},
		{func(b *data.Batch) error { b.Labels = b.Labels[1:]; return nil }, "has 31 labels: must have 32, one a sample"},
		{func(b *data.Batch) error { b.Labels = nil; return nil }, "has 0 labels"},
		{func(b *data.Batch) error { b.Partners, b.Weight = []int64{1}, 0.5; return nil }, "has 1 labels of what was mixed in: must have 32"},
		{func(b *data.Batch) error { b.Partners, b.Weight = b.Labels, math.NaN(); return nil }, "mixes by NaN: must be 0 to 1"},
		{func(b *data.Batch) error { b.Floats[5] = float32(math.NaN()); return nil }, "has the value NaN in sample 2: must be finite"},
		{func(b *data.Batch) error { b.Floats[0] = float32(math.Inf(-1)); return nil }, "has the value -Inf in sample 0"},
		{func(b *data.Batch) error { b.Floats = b.Floats[1:]; return nil }, "has 63 values: must have 64, which is 32 samples of 2"},
		{func(b *data.Batch) error { b.Floats = nil; return nil }, "holds 0 bytes, 0 floats and 0 integers: must hold one of these"},
		{func(b *data.Batch) error { b.Ints = make([]int64, 64); return nil }, "holds 0 bytes, 64 floats and 64 integers"},
		{func(b *data.Batch) error { b.Floats, b.Bytes = nil, make([]byte, 64); return nil }, "has bytes: the set has means for 0 channels"},
		{func(b *data.Batch) error { b.N++; return nil }, "must have 66, which is 33 samples of 2"},
		{func(b *data.Batch) error { b.N = 0; return nil }, "has 0 samples: must have at least 1"},
		{func(b *data.Batch) error { b.Shape.C, b.Shape.H = 1, 2; return nil }, "has samples of 1×2×1: must have 2×1×1"},
		{func(*data.Batch) error { panic("an index is out of range") }, "which is a bug of the set: an index is out of range"},
		{func(*data.Batch) error { return gone }, "cannot be had: the disk is gone"},
	} {
		for _, part := range []data.Part{data.Train, data.Test} {
			out := string(part) + string(rune('a'+i))
			err := run(out, wrong{blobs(t, 256), part, c.change}, false)
			if err == nil || !errors.Is(err, data.ErrFailed) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "the run is saved and goes on with --resume") {
				t.Errorf("%s: error %v, want %q", part, err, c.want)
				continue
			}
			if strings.Contains(c.want, "gone") != errors.Is(err, gone) {
				t.Errorf("%s: error %v wraps the set's own wrongly", part, err)
			}
			mended := wrong{blobs(t, 256), part, func(*data.Batch) error { return nil }}
			if err := run(out, mended, true); err != nil {
				t.Fatalf("%s: the run does not go on: %v", part, err)
			}
			if !reflect.DeepEqual(b.weights(t, out), b.weights(t, "whole")) {
				t.Errorf("%s: %s: the weights differ", part, c.want)
			}
		}
	}
	if n := torch.LiveTensors() - before; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
}
