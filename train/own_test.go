package train_test

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/seed"
	_ "github.com/locus-learn/locus/internal/testdevice"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
	"github.com/locus-learn/locus/zoo"
)

// blobs are points around four centres in the plane.
func blobs(t *testing.T, n int) data.Source {
	t.Helper()
	table := func(n int, index uint64) (out data.Table) {
		random := seed.Rand(7, "blobs", index)
		for range n {
			c := random.IntN(4)
			out.Floats = append(out.Floats, float32(2*(c%2)-1)+float32(random.NormFloat64())/4, float32(c-c%2-1)+float32(random.NormFloat64())/4)
			out.Labels = append(out.Labels, int64(c))
		}
		return out
	}
	source, err := data.FromFloats(data.Shape{C: 2}, table(n, 0), table(n/4, 1))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// ownModel is a net of one's own in two modules that reconcile their gradients.
func ownModel(t *testing.T, device torch.Device) *model.Model {
	t.Helper()
	init := nn.Init{Seed: 1, Device: device}
	hidden := func(name string, in int) nn.Block {
		return nn.Block{Name: name, Layer: nn.Sequential{nn.NewLinear(init.In(name), in, 16), nn.ReLU{}}, Out: nn.Shape{C: 16}}
	}
	m, err := model.Of(model.Parts{
		Net: &zoo.Network{
			Name: "own", Input: nn.Shape{C: 2}, Classes: 4,
			Blocks: []nn.Block{hidden("fc1", 2), hidden("fc2", 16)}, Classifier: nn.NewLinear(init.In("fc"), 16, 4),
		},
		Ends: []int{1, 2},
		Rule: local.Rule{
			Objective: local.Classify{}, Credit: local.Autograd{},
			Term: &local.Reconcile{Lambda: 0.1, Normalize: true, Reduction: local.Batch},
		},
		Init: init, DType: torch.Float32,
		Head: func(at zoo.Cut, init nn.Init) (nn.Layer, error) {
			return nn.NewLinear(init.In("heads.1.fc"), at.Out().C, at.Net.Classes), nil
		},
		Optim: func(params []*nn.Param) optim.Optimizer {
			return optim.New(optim.Options{Name: "sgd", Momentum: 0.9}, params)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ownConfig() train.Config {
	c := train.Defaults()
	c.Name, c.Data.Batch, c.Optim.LR, c.Schedule.Epochs = "blobs", 32, 0.1, 3
	return c
}

// A net of one's own learns from data of one's own in the ready loop, and goes on from its run folder with the same bits.
func TestOwnNetAndData(t *testing.T) {
	before := torch.LiveTensors()
	b, source := workbench{t.TempDir()}, blobs(t, 512)
	run := func(ctx context.Context, out string, sink record.Sink, resume bool) (record.Summary, error) {
		t.Helper()
		r, err := train.New(ownModel(t, torch.CPU), source, ownConfig(), train.Options{Out: filepath.Join(b.dir, out), Steps: -1, Sink: sink, Resume: resume})
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Train(ctx)
		if closing := r.Close(); closing != nil {
			t.Error(closing)
		}
		return s, err
	}
	s, err := run(t.Context(), "whole", nil, false)
	if err != nil || s.TestAcc < 95 || len(s.ModuleAcc) != 2 || s.Dataset != "data" || s.Model != "own" {
		t.Errorf("summary %+v, error %v", s, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	halfway := newSpy()
	halfway.at, halfway.fire = 20, stop
	if _, err := run(ctx, "halves", halfway, false); !errors.Is(err, train.ErrInterrupted) {
		t.Fatalf("error %v", err)
	}
	if _, err := run(t.Context(), "halves", nil, true); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(b.weights(t, "halves"), b.weights(t, "whole")) {
		t.Error("a run that was stopped and resumed ends with other weights")
	}
	if n := torch.LiveTensors() - before; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
	if _, err := train.Open(filepath.Join(b.dir, "whole")); !fault.Is(err) || !strings.Contains(err.Error(), "program of its own") {
		t.Errorf("a checkpoint that no recipe names opens with %v", err)
	}
}

// On a device other than the CPU a module's last loss decides how its next difference is taken, so it goes on with the run.
// Here the losses fall below the bound where that changes.
func TestOwnNetOnADevice(t *testing.T) {
	b, source := workbench{t.TempDir()}, blobs(t, 512)
	run := func(ctx context.Context, out string, sink record.Sink, resume bool) error {
		t.Helper()
		c := ownConfig()
		c.Optim.LR, c.Schedule.Epochs, c.Schedule.Name = 0.02, 20, "constant"
		m := ownModel(t, torch.TestDevice)
		r, err := train.New(m, source, c, train.Options{Out: filepath.Join(b.dir, out), Steps: -1, Sink: sink, Resume: resume})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		_, err = r.Train(ctx)
		if loss := m.Learner.Modules()[1].LastLoss(); !resume && loss > 5e-3 {
			t.Errorf("the loss is %v: no small one is tried", loss)
		}
		return err
	}
	if err := run(t.Context(), "whole", nil, false); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	late := newSpy()
	late.at, late.fire = 310, stop
	if err := run(ctx, "parts", late, false); !errors.Is(err, train.ErrInterrupted) {
		t.Fatalf("error %v", err)
	}
	if err := run(t.Context(), "parts", nil, true); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(b.weights(t, "parts"), b.weights(t, "whole")) {
		t.Error("a run that was stopped and resumed ends with other weights")
	}
}

// New frees the model that it cannot train.
func TestOwnRunRefused(t *testing.T) {
	before := torch.LiveTensors()
	c := ownConfig()
	c.Data.Batch = 1000
	_, err := train.New(ownModel(t, torch.CPU), blobs(t, 64), c, train.Options{Out: t.TempDir(), Steps: -1})
	if !fault.Is(err) || !strings.Contains(err.Error(), "data.batch is 1000: must be at most 64") {
		t.Errorf("error %v", err)
	}
	if n := torch.LiveTensors() - before; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
}
