package train_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/train"
)

const (
	total = 13 // steps of a run, 5 an epoch
	small = `data: {set: cifar10, batch: 8, workers: 1}
model: {name: resnet32, depth: 8, width: 4}
method: {name: sgr, modules: 3}
head: {width: 4}
schedule: {epochs: 3}
`
)

// workbench is a folder with a tiny data set and a recipe for it.
type workbench struct{ dir string }

func newWorkbench(t *testing.T) workbench {
	t.Helper()
	b := workbench{t.TempDir()}
	files := map[string][]byte{"small.yaml": []byte(small), "test_batch.bin": cifar(9, 16)}
	for i := range uint64(5) {
		files[fmt.Sprintf("data_batch_%d.bin", i+1)] = cifar(i, 8)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(b.dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// cifar returns n records in CIFAR-10's layout: a label byte and three planes of 32 × 32.
func cifar(seed uint64, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	var b []byte
	for i := range n {
		b = append(b, byte(i%10))
		for range 3 * 32 * 32 {
			b = append(b, byte(random.Uint32()))
		}
	}
	return b
}

// run trains into the folder named out and returns what Train does. sink may be nil.
func (b workbench) run(t *testing.T, ctx context.Context, out string, sink record.Sink, resume bool, sets ...string) (record.Summary, error) {
	t.Helper()
	c, err := train.Load(filepath.Join(b.dir, "small.yaml"), sets)
	if err != nil {
		t.Fatal(err)
	}
	r, err := train.FromRecipe(c, train.Options{Data: b.dir, Out: filepath.Join(b.dir, out), Resume: resume, Steps: total, Sink: sink})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	return r.Train(ctx)
}

// must is run where it has to succeed.
func (b workbench) must(t *testing.T, out string, sink record.Sink, sets ...string) {
	t.Helper()
	if _, err := b.run(t, t.Context(), out, sink, false, sets...); err != nil {
		t.Fatal(err)
	}
}

// weights reads the tensors of a run's last checkpoint.
func (b workbench) weights(t *testing.T, out string) map[string][]byte {
	t.Helper()
	return b.tensors(t, out+"/last.safetensors")
}

// tensors reads those of a file.
func (b workbench) tensors(t *testing.T, name string) map[string][]byte {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(b.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][]byte{}
	for _, name := range f.Names() {
		if all[name], err = f.Read(name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func (b workbench) read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// log reads the record of a run.
func (b workbench) log(t *testing.T, out string) record.Log {
	t.Helper()
	log, err := record.ReadJSONL(bytes.NewReader(b.read(t, out+"/metrics.jsonl")))
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// spy keeps the steps that a run reports and calls fire behind step at.
type spy struct {
	record.Sink
	steps  []record.Step
	epochs []record.Epoch
	at     int
	fire   func()
}

func newSpy() *spy { return &spy{Sink: record.Tee()} }

func (s *spy) Step(step record.Step) error {
	s.steps = append(s.steps, step)
	if step.Step == s.at {
		s.fire()
	}
	return nil
}

func (s *spy) Epoch(epoch record.Epoch) error {
	s.epochs = append(s.epochs, epoch)
	return nil
}

// untimed returns the steps with what a clock tells taken out.
func (s *spy) untimed() []string {
	var all []string
	for _, step := range s.steps {
		step.Seconds, step.ImagesPerSecond, step.ModuleBusy, step.ModuleWait = 0, 0, nil, nil
		all = append(all, fmt.Sprint(step))
	}
	return all
}
