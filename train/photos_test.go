package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// newPhotoBench is a workbench whose set is a folder of photographs: 16 to train on and 6 to test, of two classes.
func newPhotoBench(t *testing.T) workbench {
	t.Helper()
	b := workbench{t.TempDir()}
	recipe := strings.Replace(small, "set: cifar10,", "set: folder, size: 32, augment: resized-crop,", 1)
	if err := os.WriteFile(filepath.Join(b.dir, "small.yaml"), []byte(recipe), 0o644); err != nil {
		t.Fatal(err)
	}
	for part, n := range map[string]int{"train": 8, "val": 3} {
		for c, class := range []string{"blue", "red"} {
			for i := range n {
				b.photo(t, fmt.Sprintf("%s/%s/%d.jpg", part, class, i), byte(200*c), i)
			}
		}
	}
	return b
}

// photo writes a JPEG of mostly one colour.
func (b workbench) photo(t *testing.T, name string, red byte, seed int) {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 48+seed, 40))
	for i := range m.Pix {
		m.Pix[i] = byte(i * (seed + 3))
	}
	for y := range 30 {
		for x := range m.Rect.Dx() {
			m.SetNRGBA(x, y, color.NRGBA{red, byte(x), 200 - red, 255})
		}
	}
	var content bytes.Buffer
	if err := jpeg.Encode(&content, m, nil); err != nil {
		t.Fatal(err)
	}
	b.write(t, name, content.Bytes())
}

func (b workbench) write(t *testing.T, name string, content []byte) {
	t.Helper()
	path := filepath.Join(b.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every method trains on a folder of photographs, whole and mixed, and goes on where it stopped with the same bits.
func TestPhotosTrainAndResume(t *testing.T) {
	b := newPhotoBench(t)
	for _, method := range []string{"bp", "layerwise", "sgr", "infopro"} {
		t.Run(method, func(t *testing.T) {
			sets := []string{"method.name=" + method, "data.mixup=0.2", "data.cutmix=1", "data.rand_augment.ops=1", "schedule.epochs=7"}
			spied := newSpy()
			b.must(t, method+"-whole", spied, sets...)
			for _, s := range spied.steps {
				if math.IsNaN(s.Loss) || s.Loss <= 0 {
					t.Fatalf("step %d has loss %g", s.Step, s.Loss)
				}
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			halting := newSpy()
			halting.at, halting.fire = 5, stop
			if _, err := b.run(t, ctx, method+"-halted", halting, false, sets...); !errors.Is(err, train.ErrInterrupted) {
				t.Fatalf("got %v, want ErrInterrupted", err)
			}
			if _, err := b.run(t, t.Context(), method+"-halted", nil, true, sets...); err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(b.weights(t, method+"-whole"), b.weights(t, method+"-halted"), bytes.Equal) {
				t.Error("a run that was interrupted ends with other weights")
			}
		})
	}
}

// Too many broken images stop a run with a fault; what it learned is saved, and mended data lets it go on.
func TestBrokenPhotosStopAndKeepTheRun(t *testing.T) {
	b := newPhotoBench(t)
	whole := b.read(t, "train/red/3.jpg")
	b.write(t, "train/red/3.jpg", whole[:len(whole)/2])
	_, err := b.run(t, t.Context(), "run", nil, false, "data.broken=0", "data.shuffle=false")
	if !fault.Is(err) || !errors.Is(err, data.ErrBroken) || !strings.Contains(err.Error(), "--resume") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v", err)
	}
	b.write(t, "train/red/3.jpg", whole)
	spied := newSpy()
	if _, err := b.run(t, t.Context(), "run", spied, true, "data.broken=0", "data.shuffle=false"); err != nil {
		t.Fatal(err)
	}
	if spied.steps[0].Step != 2 {
		t.Errorf("goes on with step %d, want 2: the first batch was whole", spied.steps[0].Step)
	}
}

// An image that was left out may be mended while the run rests. Others may not be replaced, in a run that has met no broken one.
func TestSizesOfFilesMayChangeWhereSomeWereBroken(t *testing.T) {
	for name, broken := range map[string]bool{"broken": true, "whole": false} {
		t.Run(name, func(t *testing.T) {
			b := newPhotoBench(t)
			whole := b.read(t, "train/red/3.jpg")
			if broken {
				b.write(t, "train/red/3.jpg", whole[:len(whole)/2])
			}
			sets := []string{"data.broken=0.5", "data.shuffle=false", "schedule.epochs=2"}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			halting := newSpy()
			halting.at, halting.fire = 5, stop
			if _, err := b.run(t, ctx, "run", halting, false, sets...); !errors.Is(err, train.ErrInterrupted) {
				t.Fatalf("got %v, want ErrInterrupted", err)
			}
			b.write(t, "train/red/3.jpg", append(slices.Clone(whole), 0))
			c, err := train.LoadRun(filepath.Join(b.dir, "run"), nil)
			if err != nil {
				t.Fatal(err)
			}
			r, err := train.FromRecipe(c, train.Options{Data: b.dir, Out: filepath.Join(b.dir, "run"), Resume: true, Steps: total, Notice: func(string) {}})
			if broken != (err == nil) || !broken && !fault.Is(err) {
				t.Errorf("goes on with %v", err)
			}
			if err == nil {
				r.Close()
			}
		})
	}
}

// Mixed targets give the weighted sum of the two classes' cross-entropies.
func TestSoftTargets(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	logits := s.FromFloats([]float32{1, -2, 0.5, 0.25, 3, -1}, 2, 3)
	plain := func(labels ...int64) float64 { return s.CrossEntropy(logits, s.FromInts(labels), 0).Item() }
	a, b := plain(0, 2), plain(1, 2)
	soft := s.CrossEntropy(logits, s.FromFloats([]float32{0.3, 0.7, 0, 0, 0, 1}, 2, 3), 0).Item()
	if want := 0.3*a + 0.7*b; math.Abs(soft-want) > 1e-6 {
		t.Errorf("got %g, want %g", soft, want)
	}
}

// A model that was trained on a folder predicts what it is evaluated on, and is not evaluated on other classes.
func TestTrainedOnPhotos(t *testing.T) {
	b := newPhotoBench(t)
	b.must(t, "run", nil, "schedule.epochs=7", "optim.lr=0.05")
	m, err := train.Open(filepath.Join(b.dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	e, err := m.Evaluate(t.Context(), train.Test, b.dir, func(string) {})
	if err != nil || e.Images != 6 {
		t.Fatalf("got %+v, %v", e, err)
	}
	right := 0.0
	for _, class := range []string{"blue", "red"} {
		for i := range 3 {
			p, err := m.Predict(filepath.Join(b.dir, "val", class, fmt.Sprintf("%d.jpg", i)), 0)
			if err != nil {
				t.Fatal(err)
			}
			if p.Classes[0].Class == class {
				right++
			}
		}
	}
	if top1 := e.Heads[len(e.Heads)-1].Top1; math.Abs(top1-100*right/6) > 1e-9 {
		t.Errorf("evaluation says %.2f %%, predictions of the same images are right in %.2f %%", top1, 100*right/6)
	}
	for _, part := range []string{"train", "val"} {
		if err := os.Rename(filepath.Join(b.dir, part, "blue"), filepath.Join(b.dir, part, "zebra")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Evaluate(t.Context(), train.Test, b.dir, func(string) {}); !fault.Is(err) || !strings.Contains(err.Error(), "trained with blue") {
		t.Errorf("got %v, want a fault about the classes", err)
	}
}
