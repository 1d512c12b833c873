package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
)

// Options are what a command line says about a run beyond its recipe.
type Options struct {
	Data   string       // folder to look for data in first
	Out    string       // run folder
	Resume bool         // go on with the run in Out
	Force  bool         // replace the run in Out
	Init   string       // safetensors file to start from
	Steps  int          // length of the run; negative: the recipe's epochs
	Sink   record.Sink  // gets every step, where the run folder gets every tenth; may be nil; the run closes it
	Notice func(string) // gets warnings, a line each; may be nil
}

// ErrInterrupted reports a run that was stopped from outside after it had saved its checkpoint.
var ErrInterrupted = errors.New("interrupted; the run is saved and goes on with --resume")

// Intervals of the loop.
const (
	stepsPerEvent      = 10              // in the run folder
	checkpointInterval = 5 * time.Minute // between epochs; every epoch is saved as well
)

// Run is one training of one model.
type Run struct {
	dir   string
	set   *data.Set
	model *Model
	sink  record.Sink // everybody
	live  record.Sink // who wants every step
	at    progress

	perEpoch int
	times    []float64 // seconds of each step of this process
	peak     int64     // of live tensor bytes while training
}

// New opens the data, builds the model and prepares the run folder, or restores the run that is in it. The caller
// closes the run.
func New(c Config, o Options) (*Run, error) {
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	set, err := data.Open(c.Data, c.Seed, dirs(o.Data))
	if err != nil {
		return nil, err
	}
	for _, w := range set.Warnings {
		o.Notice(w)
	}
	if !o.Resume && !o.Force && holdsRun(o.Out) {
		return nil, fault.New("%s holds a run already: give --resume to go on with it, --force to replace it, or another --out", o.Out)
	}
	s := set.Train.Shape
	model, err := NewModel(c, nn.Shape{C: s.C, H: s.H, W: s.W}, len(set.Classes), false)
	if err != nil {
		return nil, err
	}
	r := &Run{dir: o.Out, set: set, model: model, perEpoch: data.Batches(set.Train.Len(), c.Data.Batch, false)}
	if err := r.start(o); err != nil {
		model.Free()
		return nil, err
	}
	return r, nil
}

func dirs(first string) []string {
	if first == "" {
		return nil
	}
	return []string{first}
}

// start brings weights, position and sinks to where the run begins.
func (r *Run) start(o Options) error {
	c := r.model.Config
	if side := r.model.Net.Input.H; side != r.set.Train.Shape.H {
		return fault.New("model.image is %d: %s has images of side %d", side, r.set.Name, r.set.Train.Shape.H)
	}
	r.at.Total = c.Schedule.Epochs * r.perEpoch
	resumed := -1
	switch {
	case o.Resume:
		if err := r.restore(); err != nil {
			return err
		}
		resumed = r.at.Step
	case o.Init != "":
		fresh, err := r.model.InitFrom(o.Init)
		if err != nil {
			return err
		}
		for _, head := range fresh {
			o.Notice(fmt.Sprintf("%s has no %s that fits: it starts fresh", o.Init, head))
		}
	}
	if o.Steps >= 0 {
		r.at.Total = o.Steps
	}
	if !o.Resume { // now that nothing is left that the user could have got wrong
		if err := prepare(r.dir); err != nil {
			return err
		}
	}
	if err := describe(r.dir, c); err != nil {
		return err
	}
	return r.openSinks(o.Sink, resumed)
}

func (r *Run) openSinks(extra record.Sink, resumed int) error {
	log, err := record.OpenJSONL(filepath.Join(r.dir, metricsFile), resumed)
	if err != nil {
		return err
	}
	board, err := record.OpenTensorBoard(r.dir)
	if err != nil {
		log.Close()
		return err
	}
	if r.live = extra; extra == nil {
		r.live = record.Tee()
	}
	r.sink = record.Tee(log, board, r.live)
	return nil
}

// Close frees the model. The record is complete only if it returns nil.
func (r *Run) Close() error {
	r.model.Free()
	return r.sink.Close()
}

// Train runs to the end of the schedule and returns the run's summary. When ctx ends, the step under way is finished
// and saved and the error is ErrInterrupted. A loss that is not finite ends the run with the last checkpoint as it was.
func (r *Run) Train(ctx context.Context) (record.Summary, error) {
	defer torch.Pin()()
	if err := r.begin(); err != nil {
		return record.Summary{}, err
	}
	saved := time.Now()
	// A run that stopped between an epoch's last step and its evaluation goes on with the evaluation.
	for r.at.Step < r.at.Total || r.at.Evaluated < r.at.Step {
		loader := r.loader()
		err := r.epoch(ctx, loader, &saved)
		loader.Close()
		if err == nil {
			err = r.endEpoch(ctx)
		}
		if err != nil {
			return r.stopped(err)
		}
		if err := r.save(); err != nil {
			return record.Summary{}, err
		}
		saved = time.Now()
	}
	return r.finish("")
}

// epoch trains on what is left of the current epoch.
func (r *Run) epoch(ctx context.Context, loader *data.Loader, saved *time.Time) error {
	torch.ResetPeak()
	for r.at.Step < r.at.Total {
		began := time.Now()
		batch, err := loader.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		x, y := r.tensors(batch)
		lr := r.rate(r.at.Step)
		stats, err := r.model.Learner.Step(x, y, local.Tick{
			Step: r.at.Step, Done: float64(r.at.Step) / float64(r.at.Total), LR: lr,
		})
		if err != nil {
			return err
		}
		r.peak = max(r.peak, torch.PeakBytes())
		r.at.Step++
		r.at.Batch++
		if err := r.report(stats, lr, time.Since(began).Seconds()); err != nil {
			return err
		}
		if time.Since(*saved) > checkpointInterval {
			if err := r.save(); err != nil {
				return err
			}
			*saved = time.Now()
		}
	}
	return nil
}

// stopped ends a run early. An interruption is saved; a loss that is not finite leaves the last checkpoint as it is.
func (r *Run) stopped(cause error) (record.Summary, error) {
	var diverged *local.Diverged
	switch {
	case errors.Is(cause, context.Canceled):
		if err := r.save(); err != nil {
			return record.Summary{}, err
		}
		s, err := r.finish("interrupted")
		return s, errors.Join(err, ErrInterrupted)
	case errors.As(cause, &diverged):
		s, err := r.finish(diverged.Error())
		cause = fault.New("%w; %s keeps the last good checkpoint; a lower optim.lr, now %g, is the usual cure",
			cause, filepath.Join(r.dir, lastFile), r.model.Config.Optim.LR)
		return s, errors.Join(err, cause)
	}
	return record.Summary{}, cause
}

func (r *Run) rate(step int) float64 {
	c := r.model.Config
	return c.Schedule.Rate(c.Optim.LR, step, r.at.Total, r.perEpoch)
}

func (r *Run) loader() *data.Loader {
	o := r.model.Config.Data
	return data.NewLoader(r.set.Train, data.LoaderOptions{
		Batch: o.Batch, Workers: o.Workers, Augment: o.Augment, Shuffle: o.Shuffle,
		Seed: r.model.Config.Seed, Epoch: r.at.Epoch, Start: r.at.Batch,
	})
}

// tensors moves a batch to the device.
func (r *Run) tensors(b data.Batch) (x, y torch.Tensor) {
	return toTensors(b, r.set.Mean, r.set.Std, r.model.Config.dtype())
}

func toTensors(b data.Batch, mean, std []float64, dtype torch.DType) (x, y torch.Tensor) {
	s := torch.NewScope(torch.NoGrad)
	x = s.FromImages(dtype, b.Images, b.N, b.Shape.H, b.Shape.W, b.Shape.C, float32s(mean), float32s(std))
	return x.Keep(), s.FromInts(b.Labels).Keep()
}

func float32s(v []float64) []float32 {
	out := make([]float32, len(v))
	for i := range v {
		out[i] = float32(v[i])
	}
	return out
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(v))
	return sorted[len(sorted)/2]
}
