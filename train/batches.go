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
	in := m.Net.Input
	return &checked{samples.Batches(o), data.Form{
		Shape: data.Shape{C: in.C, H: max(1, in.H), W: max(1, in.W)}, Classes: m.Net.Classes, MultiLabel: m.Rule.MultiLabel, Means: len(mean),
	}}
}

// checked is batches of which each is looked at. A set of one's own can be wrong in ways that would end in a message of the
// engine's, or in a result that means nothing.
type checked struct {
	data.Batches
	form data.Form
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
		if err = b.Check(c.form); err != nil {
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
