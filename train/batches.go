package train

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
)

// batches begins an epoch of samples for the model, of images normalised by mean where they are bytes. What its Next returns fits
// the model, whoever made the set. The caller closes it.
func (m *Model) batches(samples data.Samples, mean []float64, o data.BatchOptions) data.Batches {
	return &checked{samples.Batches(o), m, len(mean)}
}

// checked is batches of which each is looked at. A set of one's own can be wrong in ways that would end in a message of the
// engine's, or in a result that means nothing.
type checked struct {
	data.Batches
	m     *Model
	means int // of channels
}

// Next implements [data.Batches]. Its errors wrap [data.ErrFailed], unless they are those that Batches tells of.
func (c *checked) Next(ctx context.Context) (b data.Batch, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w, which is a bug of the set: %v", data.ErrFailed, p)
		}
	}()
	b, err = c.Batches.Next(ctx)
	for _, known := range []error{io.EOF, data.ErrClosed, data.ErrBroken, data.ErrFailed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return b, err
		}
	}
	switch {
	case err == nil:
		if err = c.check(b); err != nil {
			err = fmt.Errorf("%w, which is a bug of the set: batch %d of epoch %d %w", data.ErrFailed, b.Index, b.Epoch, err)
		}
	case fault.Is(err):
		err = fault.New("%w: %w", data.ErrFailed, err)
	default:
		err = fmt.Errorf("%w: %w", data.ErrFailed, err)
	}
	return b, err
}

// Waits is that of [data.Loader].
func (c *checked) Waits() string {
	if l, ok := c.Batches.(interface{ Waits() string }); ok {
		return l.Waits()
	}
	return ""
}

// check returns an error that goes on after a batch's name where the batch is not what the model takes.
func (c *checked) check(b data.Batch) error {
	in, s := c.m.Net.Input, b.Shape
	if s.C != in.C || s.H != max(1, in.H) || s.W != max(1, in.W) {
		return fmt.Errorf("has samples of %d×%d×%d: must have %d×%d×%d", s.C, s.H, s.W, in.C, max(1, in.H), max(1, in.W))
	}
	if b.N < 1 {
		return fmt.Errorf("has %d samples: must have at least 1", b.N)
	}
	if err := c.checkValues(b.Values, b.N*s.Size(), s.Size()); err != nil {
		return err
	}
	if c.m.Views() > 1 && (b.Second.Bytes != nil || b.Second.Floats != nil || b.Second.Ints != nil) {
		if err := c.checkValues(b.Second, b.N*s.Size(), s.Size()); err != nil {
			return fmt.Errorf("%w, in the second view", err)
		}
	}
	if c.m.Rule.MultiLabel {
		return c.checkSets(b)
	}
	if err := c.checkLabels("labels", b.Labels, b.N); err != nil || len(b.Partners) == 0 {
		return err
	}
	if !(b.Weight >= 0 && b.Weight <= 1) {
		return fmt.Errorf("mixes by %g: must be 0 to 1", b.Weight)
	}
	return c.checkLabels("labels of what was mixed in", b.Partners, b.N)
}

func (c *checked) checkValues(v data.Values, want, size int) error {
	held := 0
	for _, n := range []int{len(v.Bytes), len(v.Floats), len(v.Ints)} {
		held += min(n, 1)
	}
	switch n := max(len(v.Bytes), len(v.Floats), len(v.Ints)); {
	case held != 1:
		return fmt.Errorf("holds %d bytes, %d floats and %d integers: must hold one of these", len(v.Bytes), len(v.Floats), len(v.Ints))
	case n != want:
		return fmt.Errorf("has %d values: must have %d, which is %d samples of %d", n, want, want/size, size)
	case v.Bytes != nil && c.means != c.m.Net.Input.C:
		return fmt.Errorf("has bytes: the set has means for %d channels, and must for %d", c.means, c.m.Net.Input.C)
	}
	for i, f := range v.Floats {
		if f-f != 0 { // neither NaN nor infinite
			return fmt.Errorf("has the value %g in sample %d: must be finite", f, i/size)
		}
	}
	return nil
}

func (c *checked) checkLabels(what string, labels []int64, n int) error {
	if len(labels) != n {
		return fmt.Errorf("has %d %s: must have %d, one a sample", len(labels), what, n)
	}
	for i, label := range labels {
		if classes := c.m.Net.Classes; label < 0 || classes > 0 && label >= int64(classes) {
			return fmt.Errorf("has %d among its %s, at sample %d: must be 0 to %d", label, what, i, classes-1)
		}
	}
	return nil
}

func (c *checked) checkSets(b data.Batch) error {
	classes := c.m.Net.Classes
	if len(b.Has) != b.N*classes {
		return fmt.Errorf("has %d marks of classes: must have %d, of %d samples and %d classes", len(b.Has), b.N*classes, b.N, classes)
	}
	for i, v := range b.Has {
		if v > 1 {
			return fmt.Errorf("marks class %d of sample %d by %d: must be 0 or 1", i%classes, i/classes, v)
		}
	}
	return nil
}
