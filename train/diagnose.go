package train

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
)

// DiagnoseOptions is the `diagnose` section of a recipe.
type DiagnoseOptions struct {
	Every int `recipe:"every" default:"0" min:"0" max:"1000000000" doc:"steps from one diagnosis to the next, the first step being the first; 0 = none"`
	Batch int `recipe:"batch" default:"128" min:"2" max:"65536" doc:"held-out images of a diagnosis"`
}

func (r *Run) diagnosing() bool { return r.model.Config.Diagnose.Every > 0 }

// diagnosed takes a step with a diagnosis around it. The network is empty before and after. Neither the time nor the memory
// of the diagnosis counts as the run's.
func (r *Run) diagnosed(ctx context.Context, x, y torch.Tensor, at local.Tick, began time.Time) error {
	batch := local.Signal{X: x, Y: y}
	if err := r.drain(); err != nil {
		batch.Free()
		return err
	}
	paused, resting := time.Now(), r.model.Device().Memory().Live
	var probe *local.Probe
	err := r.whole(func() (err error) {
		probe, err = r.probe(ctx, batch, at)
		return err
	})
	if err != nil {
		batch.Free()
		return err
	}
	defer probe.Free()
	extra := r.model.Device().Memory().Live - resting
	began = began.Add(time.Since(paused))
	r.model.Device().ResetPeak()
	left, err := r.model.Learner.Step(x, y, at)
	if err == nil {
		var rest []local.Outcome
		rest, err = r.model.Learner.Drain()
		left = append(left, rest...)
	}
	r.peak = max(r.peak, r.model.Device().Memory().Peak-extra)
	paused = time.Now()
	if err == nil {
		err = r.whole(probe.After)
	}
	probe.Free()
	r.model.Device().ResetPeak()
	r.report(left, began.Add(time.Since(paused)))
	if err != nil {
		return err
	}
	d := probe.Diagnosis
	r.logged(r.sink.Diagnosis(record.Diagnosis{
		Step: r.at.Step, Epoch: r.at.Epoch + 1, Loss: d.Loss, SGRLoss: d.SGR, SGRCos: d.Cos, Epsilon: d.Epsilon,
		GlobalNorm: d.GlobalNorm, GlobalCos: d.GlobalCos, Gap: d.Gap, Bound: d.Bound, Within: d.Within,
		Shift: d.Shift, ShiftTrain: d.ShiftTrain,
	}))
	return nil
}

// whole calls a function that needs all modules in this process. Those of others are here meanwhile, as they are now.
func (r *Run) whole(f func() error) error {
	if r.mesh == nil {
		return f()
	}
	release, err := r.mesh.Borrow()
	if err != nil {
		return err
	}
	defer release()
	return f()
}

// probe measures the network in front of the step that learns from batch, which stays.
func (r *Run) probe(ctx context.Context, batch local.Signal, at local.Tick) (*local.Probe, error) {
	held, err := r.held(ctx)
	if err != nil {
		return nil, err
	}
	train, err := r.together(ctx, batch)
	if err != nil {
		held.Free()
		return nil, err
	}
	return local.NewProbe(r.model.Chain, held, train, at, r.model.Term())
}

// together is a copy of the batch that a step learns from: of all its parts, where processes share it.
func (r *Run) together(ctx context.Context, batch local.Signal) (local.Signal, error) {
	s := r.model.Device().Scope(torch.NoGrad)
	defer s.Close()
	x, y := s.Clone(batch.X), s.Clone(batch.Y)
	parts := 1
	if r.mesh != nil {
		_, parts = r.mesh.Part()
	}
	for part := 1; part < parts; part++ {
		loader := trainingBatches(r.model, r.set, r.at.Epoch, r.at.Batch, part, parts)
		b, err := loader.Next(ctx)
		loader.Close()
		if err != nil {
			return local.Signal{}, err
		}
		nextX, nextY := r.tensors(b)
		s.Adopt(nextX)
		s.Adopt(nextY)
		x, y = s.Cat(x, nextX, 0), s.Cat(y, nextY, 0)
	}
	return local.Signal{X: x.Keep(), Y: y.Keep()}, nil
}

// held is a batch, the same each time, of images that the run does not learn from: validation images where there are any.
func (r *Run) held(ctx context.Context) (local.Signal, error) {
	images := r.set.Part(data.Validation)
	if images.Len() == 0 {
		images = r.set.Part(data.Test)
	}
	loader := r.model.batches(images, r.info.Mean, data.BatchOptions{
		Batch: r.model.Config.Diagnose.Batch, Workers: 1, KeepLast: true, Shuffle: true,
		Seed: seed.Derive(r.model.Config.Seed, "diagnose/held"),
	})
	defer loader.Close()
	b, err := loader.Next(ctx)
	if errors.Is(err, io.EOF) {
		return local.Signal{}, fault.New("%w: none of %d to diagnose on", data.ErrBroken, images.Len())
	}
	if err != nil {
		return local.Signal{}, err
	}
	x, y := toTensors(r.model, b, r.info.Mean, r.info.Std)
	return local.Signal{X: x, Y: y}, nil
}

// seen are training images, as many as the test set has, to be evaluated on as they are.
func (r *Run) seen() data.Samples {
	n := min(r.set.Part(data.Test).Len(), r.set.Part(data.Train).Len())
	_, taken := data.Split(r.set.Part(data.Train), n, seed.Derive(r.model.Config.Seed, "diagnose/seen"))
	return taken
}

// drawDiagnoses writes the pictures and the table of a diagnosed run.
func (r *Run) drawDiagnoses(log record.Log) error {
	if err := record.PlotDiagnosis(r.folder.Dir, log.Diagnoses); err != nil {
		return err
	}
	run := record.Series{Name: r.model.Config.Name, Epochs: log.Epochs, Steps: log.Steps, Diagnoses: log.Diagnoses}
	if err := record.PlotFigures(r.folder.Path("plots"), []record.Series{run}); err != nil {
		return err
	}
	if err := disk.WriteFile(r.folder.Path(DiagnosisFile), []byte(record.DiagnosisTable(log.Diagnoses)+"\n")); err != nil {
		return r.folder.Failed(DiagnosisFile, err)
	}
	return nil
}
