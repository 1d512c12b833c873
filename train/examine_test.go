package train_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/train"
)

// What heads answer one by one adds up to what an evaluation says, also where modules come and go, and mistakes are the
// last head's, surest first.
func TestExamineAgreesWithEvaluate(t *testing.T) {
	b := newWorkbench(t)
	b.must(t, "run", nil, "threads=1")
	var first train.Examination
	for _, sets := range [][]string{nil, {"method.resident=1", "method.visit=3", "data.batch=3"}} {
		m, err := train.Open(filepath.Join(b.dir, "run"), sets...)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Free()
		want, err := m.Evaluate(t.Context(), train.Test, b.dir, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Examine(t.Context(), train.Test, b.dir, 4, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got.Evaluation) != fmt.Sprint(want) {
			t.Errorf("%v, evaluated %v", got.Evaluation, want)
		}
		for k, said := range got.Said {
			right, loss := 0, 0.0
			for i, s := range said {
				if s.Class == got.Labels[i] {
					right++
				}
				loss -= math.Log(s.Right)
				if s.Sure < s.Right-1e-12 || s.Sure > 1 {
					t.Errorf("module %d, sample %d: %+v", k+1, i, s)
				}
			}
			n := float64(len(said))
			if top1 := 100 * float64(right) / n; n != 16 || top1 != want.Heads[k].Top1 || math.Abs(loss/n-want.Heads[k].Loss) > 1e-4 {
				t.Errorf("module %d: %g samples, %g %% right, loss %g; evaluated %+v", k+1, n, top1, loss/n, want.Heads[k])
			}
		}
		checkMistakes(t, got)
		if sets == nil {
			first = got
		} else if fmt.Sprint(got.Labels, got.Places, got.Work) != fmt.Sprint(first.Labels, first.Places, first.Work) {
			t.Errorf("with modules in files: %v, want %v", got.Work, first.Work)
		}
	}
	survey := int64(0)
	for _, w := range first.Work {
		survey += w.Body + w.Head
	}
	c, err := train.Load(filepath.Join(b.dir, "small.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := train.Look(c, b.dir); err != nil || s.MACs != survey || survey == 0 {
		t.Errorf("modules take %d in all, the survey says %d, %v", survey, s.MACs, err)
	}
}

func checkMistakes(t *testing.T, e train.Examination) {
	t.Helper()
	last := e.Said[len(e.Said)-1]
	wrong := map[int]bool{}
	for i, s := range last {
		wrong[i] = s.Class != e.Labels[i]
	}
	before := 2.0
	for _, m := range e.Worst {
		if !wrong[m.Sample] || last[m.Sample].Sure > before || len(m.Pixels) != 3*32*32 {
			t.Errorf("mistake %d: %+v, %d bytes", m.Sample, last[m.Sample], len(m.Pixels))
		}
		before = last[m.Sample].Sure
		delete(wrong, m.Sample)
	}
	for i, w := range wrong {
		if w && last[i].Sure > before {
			t.Errorf("sample %d is a surer mistake than those that are kept", i)
		}
	}
	if len(e.Worst) != 4 {
		t.Errorf("%d mistakes, want 4", len(e.Worst))
	}
}

// Files are named rightly behind one that cannot be read; and what has no answers is refused.
func TestExaminePhotos(t *testing.T) {
	b := newPhotoBench(t)
	b.must(t, "run", nil, "data.broken=2", "threads=1")
	if err := os.WriteFile(filepath.Join(b.dir, "val/blue/1.jpg"), []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := train.Open(filepath.Join(b.dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	e, err := m.Examine(t.Context(), train.Test, b.dir, 10, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(e.Places) != "[0 2 3 4 5]" || fmt.Sprint(e.Labels) != "[0 0 1 1 1]" || len(e.Said[0]) != 5 || e.Images != 6 {
		t.Errorf("places %v, labels %v", e.Places, e.Labels)
	}
	for _, w := range e.Worst {
		want := []string{"blue/0.jpg", "blue/2.jpg", "red/0.jpg", "red/1.jpg", "red/2.jpg"}[w.Sample]
		if !strings.HasSuffix(w.Title, want) {
			t.Errorf("sample %d is %s, want %s", w.Sample, w.Title, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Examine(ctx, train.Test, b.dir, 1, func(string) {}); err == nil {
		t.Error("an interrupted examination has no error")
	}
}
