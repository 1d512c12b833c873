package train_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
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
// Steps that the device records leave the same bits, in a run that was stopped, too.
func TestOwnNetOnADevice(t *testing.T) {
	b, source := workbench{t.TempDir()}, blobs(t, 512)
	launched := 0
	run := func(ctx context.Context, out string, sink record.Sink, resume, graphs bool) error {
		t.Helper()
		c := ownConfig()
		c.Optim.LR, c.Schedule.Epochs, c.Schedule.Name = 0.02, 20, "constant"
		m := ownModel(t, torch.TestDevice)
		if graphs {
			recorded := local.NewRecorded(m.Chain)
			m.Learner, m.Graphs = recorded, true
			defer func() { launched += recorded.Launched() }()
		}
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
	if err := run(t.Context(), "whole", nil, false, false); err != nil {
		t.Fatal(err)
	}
	for _, graphs := range []bool{false, true} {
		out := fmt.Sprint("parts, graphs ", graphs)
		ctx, stop := context.WithCancel(t.Context())
		late := newSpy()
		late.at, late.fire = 310, stop
		if err := run(ctx, out, late, false, graphs); !errors.Is(err, train.ErrInterrupted) {
			t.Fatalf("error %v", err)
		}
		if err := run(t.Context(), out, nil, true, graphs); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(b.weights(t, out), b.weights(t, "whole")) {
			t.Errorf("a run that was stopped and resumed ends with other weights; graphs %v", graphs)
		}
	}
	if launched < 250 { // of 320, two kinds of them: losses fall below the bound
		t.Errorf("%d steps were launched as recorded", launched)
	}
}

// A run that was closed, and a model that was freed, are told so.
func TestOwnRunIsOver(t *testing.T) {
	source, c := blobs(t, 64), ownConfig()
	c.Schedule.Epochs = 1
	m := ownModel(t, torch.CPU)
	r, err := train.New(m, source, c, train.Options{Out: filepath.Join(t.TempDir(), "run"), Steps: -1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Train(t.Context()); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a closed run trains: %v", err)
	}
	if _, err := train.New(m, source, c, train.Options{Out: filepath.Join(t.TempDir(), "next"), Steps: -1}); err == nil || !strings.Contains(err.Error(), "freed") {
		t.Errorf("a freed model is taken: %v", err)
	}
}

// New frees the model that it cannot train.
func TestOwnRunRefused(t *testing.T) {
	before := torch.LiveTensors()
	set := func(channels, side, classes int) data.Source {
		table := data.Table{Floats: make([]float32, 64*channels*side*side), Labels: make([]int64, 64)}
		table.Labels[0] = int64(classes - 1)
		s, err := data.FromFloats(data.Shape{C: channels, H: side, W: side}, table, table)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	untested, err := data.FromFloats(data.Shape{C: 2}, data.Table{Floats: make([]float32, 128), Labels: append(make([]int64, 63), 3)}, data.Table{})
	if err != nil {
		t.Fatal(err)
	}
	tested, err := data.Divide(untested, data.Options{Test: 0.25}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		batch int
		set   data.Source
		want  string
	}{
		{1000, blobs(t, 64), "data.batch is 1000: must be at most 64"},
		{8, set(3, 1, 4), "the network takes 2 channels or values a sample: data has 3"},
		{8, set(2, 5, 4), "model.image is 0: data has images of side 5"},
		{8, set(2, 1, 5), "the network has 4 classes: data has 5"},
		{8, set(2, 1, 3), ""}, // more than there are do no harm
		{8, untested, "data has no test samples, which a run is evaluated on: data.test=0.1"},
		{8, tested, ""},
	} {
		config := ownConfig()
		config.Data.Batch = c.batch
		r, err := train.New(ownModel(t, torch.CPU), c.set, config, train.Options{Out: t.TempDir(), Steps: -1})
		if c.want == "" && err == nil {
			r.Close()
		} else if !fault.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	if n := torch.LiveTensors() - before; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
}

// quadrants are points that may be right of the middle, above it, both, or neither.
func quadrants(t *testing.T) data.Source {
	t.Helper()
	table := func(n int, index uint64) (out data.Table) {
		random := seed.Rand(7, "quadrants", index)
		for range n {
			x, y := 2*random.Float64()-1, 2*random.Float64()-1
			var set []uint16
			if x > 0 {
				set = append(set, 0)
			}
			if y > 0 {
				set = append(set, 1)
			}
			out.Floats, out.Sets = append(out.Floats, float32(x), float32(y)), append(out.Sets, set)
		}
		return out
	}
	source, err := data.Memory{Shape: data.Shape{C: 2}, Classes: []string{"right", "above"}, Train: table(512, 0), Test: table(128, 1)}.Source()
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// Data of one's own may have any number of classes a sample. A network that was made for one class is refused, and the other
// way round.
func TestOwnDataOfSeveralLabels(t *testing.T) {
	before := torch.LiveTensors()
	network := func(multi bool) *model.Model {
		spec := model.Defaults()
		spec.Net.Name, spec.Net.Depth, spec.Net.Width, spec.Head.Name = "mlp", 2, 16, "linear"
		spec.Method.Name, spec.Method.Modules = "layerwise", 2
		spec.Input = model.Input{Shape: nn.Shape{C: 2}, Classes: 2, MultiLabel: multi}
		if multi {
			spec.Loss.Name = "bce"
		}
		m, err := model.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	c := ownConfig()
	c.Schedule.Epochs = 10
	r, err := train.New(network(true), quadrants(t), c, train.Options{Out: t.TempDir(), Steps: -1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Train(t.Context())
	if err != nil || s.Measure != "mAP" || s.TestAcc < 99 || len(s.ModuleAcc) != 2 {
		t.Errorf("summary %+v, error %v", s, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for _, multi := range []bool{false, true} {
		source, words := quadrants(t), "the network learns one class a sample"
		if multi {
			source, words = blobs(t, 512), "the network learns any number of classes a sample"
		}
		if _, err := train.New(network(multi), source, c, train.Options{Out: t.TempDir(), Steps: -1}); !fault.Is(err) || !strings.Contains(err.Error(), words) {
			t.Errorf("a network of several labels, %v, and other data: %v", multi, err)
		}
	}
	if n := torch.LiveTensors() - before; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
}

// A registered network that learns from data of one's own goes on from its run folder, whatever the data's name: one that no set
// has, or that of a set that the recipe's other keys do not suit.
func TestOwnDataResumed(t *testing.T) {
	for _, name := range []string{"data", "cifar10", "folder"} {
		b := workbench{t.TempDir()}
		run := func(out string, steps int, resume bool, change func(*train.Config)) error {
			spec := model.Defaults()
			spec.Net.Name, spec.Net.Depth, spec.Net.Width, spec.Head.Name = "mlp", 2, 16, "linear"
			spec.Method.Name, spec.Method.Modules = "layerwise", 2
			spec.Input = model.Input{Shape: nn.Shape{C: 2}, Classes: 4}
			m, err := model.New(spec)
			if err != nil {
				t.Fatal(err)
			}
			c := ownConfig()
			c.Data.Set, c.Data.Size, c.Data.Augment, c.Schedule.Name = "tar", 224, "resized-crop", "constant"
			change(&c)
			r, err := train.New(m, called{blobs(t, 512), name}, c, train.Options{Out: filepath.Join(b.dir, out), Steps: steps, Resume: resume})
			if err != nil {
				return err
			}
			_, err = r.Train(t.Context())
			return errors.Join(err, r.Close())
		}
		same := func(*train.Config) {}
		if err := errors.Join(run("whole", 20, false, same), run("halves", 10, false, same), run("halves", 20, true, same)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(b.weights(t, "halves"), b.weights(t, "whole")) {
			t.Errorf("%s: the weights differ", name)
		}
		err := run("halves", 30, true, func(c *train.Config) { c.Data.Batch = 16 })
		if !fault.Is(err) || !strings.Contains(err.Error(), "data.batch is 16, and 32 when the run") {
			t.Errorf("%s: error %v", name, err)
		}
		doc, err := os.ReadFile(filepath.Join(b.dir, "halves", "config.yaml"))
		if err != nil || !strings.Contains(string(doc), "set: "+name+"\n") || !strings.Contains(string(doc), " size: 0\n") {
			t.Errorf("%s: error %v, recipe\n%s", name, err, doc)
		}
	}
}

// What learned from data of a program's own is read, exported and asked by those who know its network, in its folder or away
// from it. Only its data is not there.
func TestOwnDataElsewhere(t *testing.T) {
	before := torch.LiveTensors()
	pixels := func(n int) (out data.Table) {
		random := seed.Rand(7, "pixels", uint64(n))
		for i := range n {
			for range 3 * 16 * 16 {
				out.Bytes = append(out.Bytes, byte(random.IntN(128)+127*(i%2)))
			}
			out.Labels = append(out.Labels, int64(i%2))
		}
		return out
	}
	pictures, err := data.Memory{Name: "light", Shape: data.Shape{C: 3, H: 16, W: 16}, Classes: []string{"dark", "bright"}, Train: pixels(64), Test: pixels(16)}.Source()
	if err != nil {
		t.Fatal(err)
	}
	white := filepath.Join(t.TempDir(), "white.png")
	draw(t, white)
	for _, c := range []struct {
		name, net string
		source    data.Source
		predicts  bool
	}{{"pictures", "resnet32", pictures, true}, {"numbers", "mlp", blobs(t, 256), false}} {
		dir := filepath.Join(t.TempDir(), c.name)
		info := c.source.Info()
		spec := model.Defaults()
		spec.Net.Name, spec.Net.Depth, spec.Net.Width, spec.Head.Name = c.net, 8, 4, "linear"
		spec.Method.Name, spec.Method.Modules = "layerwise", 2
		spec.Input = model.Input{Shape: nn.Shape{C: info.Shape.C}, Classes: len(info.Classes)}
		if info.Shape.H > 1 {
			spec.Net.Image, spec.Input.Shape.H, spec.Input.Shape.W = info.Shape.H, info.Shape.H, info.Shape.W
		}
		m, err := model.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		r, err := train.New(m, c.source, ownConfig(), train.Options{Out: dir, Steps: 8})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Train(t.Context())
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		away := filepath.Join(t.TempDir(), "away.safetensors")
		if err := os.Link(filepath.Join(dir, "last.safetensors"), away); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{dir, away} {
			trained, err := train.Open(path)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if _, err := trained.Evaluate(t.Context(), train.Test, "", func(string) {}); !fault.Is(err) || !strings.Contains(err.Error(), "trained on data of a program's own, "+info.Name) {
				t.Errorf("%s is evaluated: %v", path, err)
			}
			if err := trained.Export(filepath.Join(t.TempDir(), "net.onnx"), train.ExportOptions{}); err != nil {
				t.Errorf("%s is not exported: %v", path, err)
			}
			switch p, err := trained.Predict(white, 0); {
			case c.predicts && (err != nil || len(p.Classes) != 2):
				t.Errorf("%s answers %+v, error %v", path, p, err)
			case !c.predicts && (!fault.Is(err) || !strings.Contains(err.Error(), "trained on numbers, of data")):
				t.Errorf("%s is asked for an image: %v", path, err)
			}
			trained.Free()
			if _, sets, err := train.NetworkOf(path); err != nil || sets[0] != "model.name="+c.net {
				t.Errorf("%s has the network %v, error %v", path, sets, err)
			}
		}
		if _, err := train.LoadRun(dir, nil); !fault.Is(err) || !strings.Contains(err.Error(), "data of a program's own is known there alone") {
			t.Errorf("%s is a recipe to train by: %v", dir, err)
		}
	}
	if n := torch.LiveTensors() - before; n != 0 {
		t.Errorf("%d tensors are left", n)
	}
}

// draw writes a white image.
func draw(t *testing.T, path string) {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 20, 20))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(png.Encode(f, img), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// called is a set under another name.
type called struct {
	data.Source
	name string
}

func (n called) Info() data.Info {
	info := n.Source.Info()
	info.Name = n.name
	return info
}

// A run goes on where its device is not, and on one that it has not had.
func TestResumedOnAnotherDevice(t *testing.T) {
	b := workbench{t.TempDir()}
	config := func(out string) string { return filepath.Join(b.dir, out, "config.yaml") }
	run := func(out string, device torch.Device, steps int, resume bool) {
		t.Helper()
		c := ownConfig()
		c.Schedule.Name = "constant"
		m := named(t, func(s *model.Spec) { s.Device, s.Method.Name = device, "sgr" })
		r, err := train.New(m, blobs(t, 512), c, train.Options{Out: filepath.Join(b.dir, out), Steps: steps, Resume: resume})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Train(t.Context()); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	run("whole", torch.CPU, 20, false)

	run("from", torch.CPU, 10, false) // as if on a card
	doc, err := os.ReadFile(config("from"))
	if err != nil || !strings.Contains(string(doc), "device: cpu\n") {
		t.Fatalf("error %v, recipe\n%s", err, doc)
	}
	if err := os.WriteFile(config("from"), []byte(strings.Replace(string(doc), "device: cpu\n", "device: cuda:0\n", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	run("from", torch.CPU, 20, true)
	if !reflect.DeepEqual(b.weights(t, "from"), b.weights(t, "whole")) {
		t.Error("behind another device the weights differ")
	}
	if doc, err := os.ReadFile(config("from")); err != nil || !strings.Contains(string(doc), "device: cpu\n") {
		t.Errorf("error %v, the recipe keeps the old device:\n%s", err, doc)
	}

	run("to", torch.CPU, 10, false)
	run("to", torch.TestDevice, 20, true)
	want := b.weights(t, "whole")
	for name, got := range b.weights(t, "to") {
		for i := 0; i < len(got); i += 4 {
			a, b := float32At(got, i), float32At(want[name], i)
			if d := a - b; d > 1e-3 || d < -1e-3 {
				t.Errorf("on another device %s ends with %g, want %g", name, a, b)
			}
		}
	}
}

func float32At(data []byte, at int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(data[at:]))
}
