package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
)

// Train runs to the end of the schedule and returns the run's summary. When ctx ends, the steps under way are
// finished and saved and the error is ErrInterrupted. A loss that is not finite ends the run with the last checkpoint as it was.
func (r *Run) Train(ctx context.Context) (record.Summary, error) {
	defer torch.Pin()()
	if r.closed {
		return record.Summary{}, errors.New("train: the run was closed: another one goes on from its folder, with Options.Resume")
	}
	if s, done := r.summary(); done {
		return s, nil
	}
	r.watch = watch(r.notice, r.stall)
	defer r.watch.close()
	if err := r.startHeads(ctx); errors.Is(err, context.Canceled) {
		return record.Summary{}, ErrInterrupted // nothing is saved: the run begins anew with --resume
	} else if err != nil {
		return record.Summary{}, err
	}
	if err := r.begin(); err != nil {
		return record.Summary{}, err
	}
	r.saves.last = time.Now()
	// A run that stopped between an epoch's last step and its evaluation goes on with the evaluation.
	for r.at.Step < r.at.Total || r.at.Evaluated < r.at.Step {
		loader := r.loader()
		err := r.epoch(ctx, loader)
		r.leave(loader, err)
		if err = cmp.Or(r.drain(), err); err == nil {
			err = r.endEpoch(ctx)
		}
		if err != nil {
			return r.stopped(err)
		}
		if r.at.Step >= r.at.Total {
			err = r.saveLast(ctx)
		} else {
			err = r.save()
		}
		if err != nil {
			return r.stopped(err)
		}
	}
	if err := r.evaluateAgain(ctx); err != nil {
		return r.stopped(err)
	}
	if err := r.linearProbe(ctx); err != nil {
		return r.stopped(err)
	}
	return r.finish("")
}

// epoch trains on what is left of the current epoch. The last batches may still be in the network when it returns.
func (r *Run) epoch(ctx context.Context, loader data.Batches) error {
	r.model.Device().ResetPeak()
	for step := r.at.Step; step < r.at.Total; step++ {
		if err := r.evaluateBetween(ctx, step); err != nil {
			return err
		}
		if step >= r.at.Total { // the evaluation has ended the run
			return nil
		}
		began := time.Now()
		batch, err := r.next(ctx, loader)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if r.mesh != nil {
			r.mesh.Next(batch.Epoch, batch.Index)
		}
		x, y := r.tensors(batch)
		at := local.Tick{Step: step, Done: float64(step) / float64(r.at.Total), LR: r.rate(step)}
		if err := r.step(ctx, x, y, at, began); err != nil {
			return err
		}
		if err := r.saveIfDue(); err != nil {
			return err
		}
	}
	return nil
}

// next waits for a batch.
func (r *Run) next(ctx context.Context, loader data.Batches) (data.Batch, error) {
	defer r.watch.during("batch", func() string {
		text := fmt.Sprintf("step %d waits for its batch of data", r.at.Step+1)
		if l, ok := loader.(interface{ Waits() string }); ok && l.Waits() != "" {
			text += ", which waits for " + l.Waits()
		}
		return text
	})()
	return loader.Next(ctx)
}

// leave ends a loader. After an error it does not wait for one that hangs: the run is to be saved.
func (r *Run) leave(loader data.Batches, cause error) {
	if cause == nil {
		loader.Close()
		return
	}
	closed := make(chan struct{})
	go func() {
		loader.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(hangs):
		r.notice("the data that a step waited for has not come yet; the run ends without it")
	}
}

// hangs is after how long a loader that was told to end is left alone.
const hangs = 3 * time.Second

// step trains on a batch, which it consumes, and reports; began is when the batch was asked for.
func (r *Run) step(ctx context.Context, x, y torch.Tensor, at local.Tick, began time.Time) error {
	if r.diagnosing() && at.Step%r.model.Config.Diagnose.Every == 0 {
		return r.diagnosed(ctx, x, y, at, began)
	}
	over := r.watch.during("step", func() string {
		return fmt.Sprintf("step %d is in the engine, with %d threads", at.Step+1, torch.Threads())
	})
	left, err := r.model.Learner.Step(x, y, at)
	over()
	r.report(left, began)
	r.tellRefused()
	return err
}

// tellRefused says once that steps which the recipe wants recorded are not.
func (r *Run) tellRefused() {
	learner, ok := r.model.Learner.(*local.Recorded)
	if !ok || r.told || learner.Refused() == nil {
		return
	}
	r.told = true
	r.notice(fmt.Sprintf("graphs is true, but steps are not recorded: %v; they are taken one operation at a time, as with graphs=false", learner.Refused()))
}

// drain waits for the batches in the network: only then have all modules, and the position, seen the same ones.
func (r *Run) drain() error {
	began := time.Now()
	left, err := r.model.Learner.Drain()
	r.report(left, began)
	return err
}

// stopped ends a run early. It is saved when interrupted, or when data cannot be read; a loss that is not finite leaves
// the last checkpoint as it is.
func (r *Run) stopped(cause error) (record.Summary, error) {
	var diverged *local.Diverged
	var spoilt *spoilt
	var engine *torch.Error
	if err := r.folder.Check(); err != nil { // whatever the run then met
		return record.Summary{}, err
	}
	switch {
	case errors.Is(cause, context.Canceled):
		if err := r.saveLast(context.Background()); err != nil {
			return r.stopped(err)
		}
		s, err := r.finish("interrupted")
		return s, errors.Join(err, ErrInterrupted)
	case errors.Is(cause, data.ErrBroken), errors.Is(cause, data.ErrFailed):
		r.broken.Store(true)
		r.saves.step = unsaved // a checkpoint of this step does not know that yet
		if err := r.saveLast(context.Background()); err != nil {
			return r.stopped(err)
		}
		s, err := r.finish(cause.Error())
		const saved = "%w; the run is saved and goes on with --resume"
		if !fault.Is(cause) {
			return s, errors.Join(err, fmt.Errorf(saved, cause))
		}
		return s, errors.Join(err, fault.New(saved, cause))
	case errors.As(cause, &diverged), errors.As(cause, &spoilt):
		s, err := r.finish(cause.Error())
		cure := fmt.Sprintf("a lower optim.lr, now %g, is the usual cure", r.model.Config.Optim.LR)
		if diverged != nil && diverged.Step == 0 {
			cure = "no weight has changed yet, so that optim.lr is not the cause: look at the weights of --init, at data.mean and data.std, and at precision"
		}
		cause = fault.New("%w; %s keeps the last good checkpoint; %s", cause, r.folder.Path(lastFile), cure)
		return s, errors.Join(err, cause)
	case errors.As(cause, &engine) && engine.Kind == torch.OutOfMemory:
		s, err := r.finish(engine.Error())
		cause = fault.New("%w; %s keeps the last checkpoint, from which --resume goes on", OutOfMemory(engine), r.folder.Path(lastFile))
		return s, errors.Join(err, cause)
	}
	return record.Summary{}, cause
}

// rate is the learning rate at a step: each cycle of the training goes through the whole schedule.
func (r *Run) rate(step int) float64 {
	c := r.model.Config
	cycle := step * r.model.Cycles() / r.at.Total
	start := func(cycle int) int { return (cycle*r.at.Total + r.model.Cycles() - 1) / r.model.Cycles() }
	return c.Schedule.Rate(c.Optim.LR, step-start(cycle), start(cycle+1)-start(cycle), r.perEpoch)
}

func (r *Run) loader() data.Batches {
	part, parts := 0, 1
	if r.mesh != nil {
		part, parts = r.mesh.Part()
	}
	return trainingBatches(r.model, r.set, r.at.Epoch, r.at.Batch, part, parts)
}

// trainingBatches are those of an epoch of a set from one on, or a part of each. The caller closes them.
func trainingBatches(m *Model, set data.Source, epoch, start, part, parts int) data.Batches {
	o, samples := m.Config.Data, set.Part(data.Train)
	var order []int
	if o.Balanced {
		order = data.BalancedOrder(m.Config.Seed, epoch, samples)
	}
	return m.batches(samples, set.Info().Mean, data.BatchOptions{
		Order: order,
		Batch: o.Batch, Workers: o.Workers, Ahead: readAhead(m, set.Info()), Augment: true, Views: m.Views(), Shuffle: o.Shuffle,
		Seed: m.Config.Seed, Epoch: epoch, Start: start, Part: part, Parts: parts,
	})
}

// mostReadAhead is how many bytes of batches a training that streams has ready. Beyond that memory is wanted more than time.
const mostReadAhead = 32 << 20

// readAhead is how many batches a model's training takes at once. Where modules are visited in turn it asks for a visit's
// batches in a row, and for none while it trains on them. Where it keeps its signals in files, memory is wanted more than time.
func readAhead(m *Model, info data.Info) int {
	if o := m.Config.Method; m.Streams() && o.Signals != "spill" {
		return int(min(float64(o.Visit), mostReadAhead/bufferBytes(m, info)))
	}
	return 0
}

// bufferBytes is what one batch of a model's training takes in a loader.
func bufferBytes(m *Model, info data.Info) float64 {
	value := 1 // byte: of images
	if info.Mean == nil {
		value = 8
	}
	return float64(m.Config.Data.Batch) * float64(info.Shape.Size()) * float64(m.Views()*value)
}

// tensors moves a batch to the device.
func (r *Run) tensors(b data.Batch) (x, y torch.Tensor) { return batchTensors(r.model, r.info, b) }

// batchTensors moves a batch to a model's device. Where images were mixed, the targets are soft: [N, classes].
func batchTensors(m *Model, info data.Info, b data.Batch) (x, y torch.Tensor) {
	x, y = toTensors(m, b, info.Mean, info.Std)
	if len(b.Partners) == 0 {
		return x, y
	}
	y.Free()
	classes := len(info.Classes)
	soft := make([]float32, b.N*classes)
	for i := range b.N {
		row := soft[i*classes : (i+1)*classes]
		row[b.Labels[i]] += float32(b.Weight)
		row[b.Partners[i]] += float32(1 - b.Weight)
	}
	return x, torch.NewScopeOn(m.Device(), torch.NoGrad).FromFloats(soft, int64(b.N), int64(classes)).Keep()
}

// toTensors returns samples [N, …], or [2N, …] with a second view of each behind the first ones, and labels as [labelsOf] does. Bytes are
// images, which are normalised; floats come as they are, and integers as int64.
func toTensors(m *Model, b data.Batch, mean, std []float64) (x, y torch.Tensor) {
	s, dtype := torch.NewScopeOn(m.Device(), torch.NoGrad), m.DType
	defer s.Close()
	n, shape := b.N, b.Shape
	v := b.Values
	if second := b.Second; second.Bytes != nil || second.Floats != nil || second.Ints != nil {
		v.Bytes, v.Floats, v.Ints = slices.Concat(v.Bytes, second.Bytes), slices.Concat(v.Floats, second.Floats), slices.Concat(v.Ints, second.Ints)
		n *= 2
	}
	dims := []int64{int64(n), int64(shape.C), int64(shape.H), int64(shape.W)}
	switch {
	case shape.H == 1 && shape.W == 1:
		dims = dims[:2]
	case v.Ints != nil:
		dims = []int64{int64(n), int64(shape.Size())}
	}
	switch {
	case v.Floats != nil:
		x = s.Cast(s.FromFloats(v.Floats, dims...), dtype)
	case v.Ints != nil:
		x = s.Reshape(s.FromInts(v.Ints), dims...)
	default:
		x = s.FromImages(dtype, v.Bytes, n, shape.H, shape.W, shape.C, float32s(mean), float32s(std))
	}
	return x.Keep(), labelsOf(s, b.Labels, b.Has, b.N).Keep()
}

func float32s(v []float64) []float32 {
	out := make([]float32, len(v))
	for i := range v {
		out[i] = float32(v[i])
	}
	return out
}
