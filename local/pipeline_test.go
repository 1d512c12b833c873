package local_test

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/torch"
)

// pipeline lets workers drive a chain. The test fails if one of them outlives it.
func pipeline(t *testing.T, c *local.Chain, inFlight, threads int) *local.Pipeline {
	t.Helper()
	before := runtime.NumGoroutine()
	p := local.NewPipeline(c, inFlight, threads)
	t.Cleanup(func() {
		p.Close()
		noMore(t, before)
	})
	return p
}

// noMore waits until goroutines that have done their work are gone.
func noMore(t *testing.T, goroutines int) {
	t.Helper()
	for range 100 {
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, want %d", runtime.NumGoroutine(), goroutines)
}

// feed trains on steps from … to−1, drains and returns what left, its times taken out. Rate and batch depend on the
// step. size, unless nil, tells the number of images in a batch.
func feed(l local.Learner, from, to int, size func(step int) int) (left []local.Outcome, err error) {
	for step := from; step < to && err == nil; step++ {
		x, y := randomBatch(torch.Float32, uint64(step))
		if size != nil {
			x, y = shorten(x, y, size(step))
		}
		var some []local.Outcome
		some, err = l.Step(x, y, local.Tick{Step: step, Done: float64(step) / 20, LR: 0.1 / float64(step+1)})
		left = append(left, some...)
	}
	if err == nil {
		var rest []local.Outcome
		rest, err = l.Drain()
		left = append(left, rest...)
	}
	for _, o := range left {
		for k := range o.Stats {
			o.Stats[k].Busy, o.Stats[k].Wait = 0, 0
		}
	}
	return left, err
}

// shorten exchanges a batch for one of its first n images.
func shorten(x, y torch.Tensor, n int) (torch.Tensor, torch.Tensor) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	values := s.Adopt(x).Float64s()[:n*images.C*images.H*images.W]
	pixels := make([]float32, len(values))
	for i, v := range values {
		pixels[i] = float32(v)
	}
	var labels []int64
	for _, v := range s.Adopt(y).Float64s()[:n] {
		labels = append(labels, int64(v))
	}
	return s.FromFloats(pixels, int64(n), int64(images.C), int64(images.H), int64(images.W)).Keep(), s.FromInts(labels).Keep()
}

// oneThread gives the calling goroutine as many threads as each worker of a pipeline gets.
func oneThread(t *testing.T) {
	unpin := torch.Pin()
	torch.SetThreads(1)
	t.Cleanup(func() {
		torch.SetThreads(0)
		unpin()
	})
}

// same wants outcomes and all that modules hold to agree to the last bit.
func same(t *testing.T, got, want []local.Outcome, a, b []*local.Module) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) { // NaN prints alike and floats print all their digits
		t.Errorf("outcomes\n%v, want\n%v", got, want)
	}
	if !reflect.DeepEqual(stateOf(a...), stateOf(b...)) {
		t.Error("weights or statistics differ")
	}
	if !reflect.DeepEqual(momentum(a), momentum(b)) {
		t.Error("momenta differ")
	}
}

func TestPipelineIsLockStepBitForBit(t *testing.T) {
	oneThread(t)
	for _, name := range []string{"layerwise", "sgr"} {
		for k := 2; k <= 4; k++ {
			o := sgr("directional")
			o.Name, o.Modules = name, k
			c := chain(t, resnet, o, torch.Float32)
			want, err := feed(c, 0, 7, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, inFlight := range []int{1, 2, 5} {
				t.Run(fmt.Sprintf("%s K=%d in flight %d", name, k, inFlight), func(t *testing.T) {
					p := pipeline(t, chain(t, resnet, o, torch.Float32), inFlight, k)
					var got []local.Outcome
					nothingLeft(t, func() {
						first, err := feed(p, 0, 1, nil) // makes the momenta
						got = append(got, first...)
						if err != nil {
							t.Fatal(err)
						}
					})
					nothingLeft(t, func() {
						rest, err := feed(p, 1, 7, nil)
						got = append(got, rest...)
						if err != nil {
							t.Fatal(err)
						}
					})
					same(t, got, want, p.Modules(), c.Modules())
				})
			}
		}
	}
}

// steps is a schedule in which every module changes its phase at another time, the last one included.
type steps struct{}

func (steps) Phase(k, _ int, done float64) local.Phase {
	switch {
	case k == 3 && done < 0.15:
		return local.Idle
	case k == 1 && done > 0.2, k == 2 && done > 0.3, k == 3 && done > 0.4:
		return local.Frozen
	}
	return local.Trains
}

func (steps) Cycles(int) int { return 1 }

func TestPipelineKeepsTheSchedule(t *testing.T) {
	oneThread(t)
	build := func() *local.Chain {
		c := chain(t, resnet, sgr("directional"), torch.Float32)
		c.Schedule = steps{}
		return c
	}
	c := build()
	want, err := feed(c, 0, 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := pipeline(t, build(), 4, 3)
	var got []local.Outcome
	nothingLeft(t, func() { got, err = feed(p, 0, 10, nil) })
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want, p.Modules(), c.Modules())
}

func TestPipelineWantsModules(t *testing.T) {
	for _, o := range []method.Options{{Name: "bp", Modules: 3, Pipeline: 2}, {Name: "sgr", Modules: 1, Pipeline: 2}} {
		_, _, err := method.Lookup(o)
		want := "method.pipeline is 2: must be 0 for a network of one module, which has nobody to work beside (method.name " + o.Name + ")"
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, _, err := method.Lookup(method.Options{Name: "sgr", Modules: 1, Cuts: []string{"layer1.0"}, Pipeline: 2}); err != nil {
		t.Error(err) // cuts win over modules
	}
}

// mistaken is a schedule with a bug.
type mistaken struct{ steps }

func (mistaken) Phase(k, _ int, done float64) local.Phase {
	if k == 2 && done > 0.2 {
		panic("a bug")
	}
	return local.Trains
}

// A worker's panic would end the process, with all that was trained since the last checkpoint.
func TestPipelineTurnsAPanicIntoAnError(t *testing.T) {
	oneThread(t)
	c := chain(t, resnet, sgr("directional"), torch.Float32)
	c.Schedule = mistaken{}
	p := pipeline(t, c, 2, 3)
	_, err := feed(p, 0, 10, nil)
	if err == nil || !strings.Contains(err.Error(), "module 2") || !strings.Contains(err.Error(), "a bug") {
		t.Errorf("error %v, want module 2 and its panic", err)
	}
}
